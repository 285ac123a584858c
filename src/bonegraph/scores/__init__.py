"""Scores by clip id: what a model answered for every clip; fused, compared, and summed up.

=================  ====================================================================================================
`by_id`            `Scores`, the probabilities of named clips, and the numbers people quote about them
`subset`           the same for some of the classes
`align`            several scorings side by side: clips by id, classes by name
`fusion`           their weighted mean, and weights chosen on a validation part
`streams`          a folder with a run for each stream, and the fusions that papers report
`comparison`       what one run gets right that another does not, and whether that is more than chance
`files`            our own files, tables, and what other code left behind
`text`             all of it in plain lines
=================  ====================================================================================================
"""

from __future__ import annotations

from bonegraph.scores.by_id import Scores
from bonegraph.scores.checks import UNKNOWN
from bonegraph.scores.comparison import compare
from bonegraph.scores.files import read_scores
from bonegraph.scores.fusion import fuse, search_weights
from bonegraph.scores.per_class import ClassScore
from bonegraph.scores.text import format_table, worst_classes

__all__ = [
    "UNKNOWN",
    "ClassScore",
    "Scores",
    "compare",
    "format_table",
    "fuse",
    "read_scores",
    "search_weights",
    "worst_classes",
]
