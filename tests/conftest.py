"""What every test may use: real recordings where they exist, one thread per worker, quick properties."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Shapes in signatures are checked while testing; this stands before any test imports the package. Settings are left
# out: their checks draw random numbers, which hypothesis forbids.
CHECKED = ["sample", "transforms.augment", "transforms.normalise", "transforms.streams"]
install_import_hook([f"bonegraph.{module}" for module in CHECKED], "beartype.beartype")

# A machine may be busy with a training, so no example has a time limit; on CI every run draws the same examples.
settings.register_profile("quick", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "quick")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell, which lets nobody below it hear Ctrl-C; some tests have to.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores already


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real recordings (``data/``) and reference outputs (``parity/``), which are never packaged."""
    given = os.environ.get("BONEGRAPH_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        where = "BONEGRAPH_SHARED points to no folder" if given else "there is no folder 'shared' beside the repository"
        pytest.skip(f"needs real recordings or reference outputs, but {where}: '{folder}'")
    return folder
