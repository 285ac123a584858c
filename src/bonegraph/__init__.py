"""Recognise human actions from skeletons.

The names below are the public interface; everything else may change.
"""

from typing import TYPE_CHECKING, Any

from bonegraph.datasets.known import KNOWN_SETS, known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.graph import adjacency, gravity_distances, hop_distances, partition
from bonegraph.inference.recogniser import Answer, Recogniser
from bonegraph.inference.scoring import score
from bonegraph.models.checkpoint import load_checkpoint, save_checkpoint
from bonegraph.models.registry import MODELS
from bonegraph.models.stgcn import STGCN
from bonegraph.read import read
from bonegraph.scores import Scores
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton, conversion, get_skeleton
from bonegraph.training.recipes import RECIPES
from bonegraph.training.settings import Settings

__all__ = [
    "KNOWN_SETS",
    "MODELS",
    "RECIPES",
    "SKELETONS",
    "STGCN",
    "Answer",
    "Recogniser",
    "Scores",
    "Sequence",
    "Settings",
    "Skeleton",
    "Store",
    "Synthetic",
    "adjacency",
    "conversion",
    "fit",
    "get_skeleton",
    "gravity_distances",
    "hop_distances",
    "known_set",
    "load_checkpoint",
    "partition",
    "prepare",
    "read",
    "save_checkpoint",
    "score",
]

if TYPE_CHECKING:
    from bonegraph.training.run import fit


def __getattr__(name: str) -> Any:
    """Import what needs Lightning only when it is asked for: it takes seconds."""
    if name == "fit":
        from bonegraph.training.run import fit

        return fit
    raise AttributeError(f"module 'bonegraph' has no attribute '{name}'")
