"""Many damaged files of every kind: ``python -m tests.fuzz --count 10000``."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from .many import fuzz
from .seeds import targets


def main() -> int:
    """Called by ``python -m tests.fuzz``."""
    names = list(targets())
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="damaged files of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--only", action="append", choices=names, help="a kind; may be given several times")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="where failures are kept")
    given = parser.parse_args()
    chosen = given.only or names
    failures: dict[str, int] = {}
    with tqdm(total=len(chosen) * given.count, unit="file") as bar:
        for name in chosen:
            bar.set_description(name)
            folder = given.folder / name.replace(" ", "-")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            if found := fuzz(name, given.first, given.count, folder, bar):
                failures[name] = len(found)
    print(f"{len(chosen) * given.count:,} damaged files, {sum(failures.values())} failures", failures or "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
