"""Scores in plain text lines."""

from __future__ import annotations

from bonegraph.scores.by_id import Scores
from bonegraph.scores.comparison import LEVEL, Comparison, Paired, Side
from bonegraph.scores.per_class import ClassScore


def format_table(scores: Scores, worst: int = 5) -> str:
    """Sum scores up in plain text lines.

    Args:
        scores: scores of any clips, labelled or not.
        worst: how many of the worst classes to list; classes without a mistake are never listed.

    Returns:
        Lines joined by newlines: clips, top-1, top-5 (from 6 classes on), mean class accuracy, worst classes.
    """
    known = int(scores.labelled.sum())
    clips = f"{len(scores)}" if known == len(scores) else f"{len(scores)} ({known} labelled)"
    if known == 0:
        return f"{'clips':<22}{clips}"
    lines = [f"{'top-1':<22}{scores.top(1):8.2%}"]
    if len(scores.classes) > 5:
        lines.append(f"{'top-5':<22}{scores.top(5):8.2%}")
    lines.append(f"{'mean class accuracy':<22}{scores.mean_class_accuracy():8.2%}")
    lines.append(f"{'clips':<22}{clips:>8}")
    rows = worst_classes(scores, worst)
    if rows:
        lines.append("worst classes")
        width = max(len(row.name) for row in rows)
        lines += [
            f"  {row.name:<{width}}  {row.accuracy:8.2%}  {row.correct} of {row.clips}, "
            f"{row.confused_clips} taken for {row.confused_with}"
            for row in rows
        ]
    return "\n".join(lines)


def worst_classes(scores: Scores, count: int) -> list[ClassScore]:
    """List the classes with the lowest accuracy, lowest first, leaving out those without a mistake.

    Args:
        scores: scores of labelled clips.
        count: at most this many.
    """
    rows = [row for row in scores.per_class() if row.correct < row.clips]
    # Of equally bad classes the larger one matters more.
    return sorted(rows, key=lambda row: (row.correct / row.clips, -row.clips, row.name))[:count]


def format_comparison(comparison: Comparison, classes: int = 10, clips: int = 5) -> str:
    """Sum a comparison up in plain text lines; its sides are called A and B.

    Args:
        comparison: of two sides.
        classes: how many classes to list from either end.
        clips: how many of the clips to name that only one side gets right.
    """
    lines = [
        f"{'top-1 of A':<22}{format_side(comparison.first)}",
        f"{'top-1 of B':<22}{format_side(comparison.second)}",
        f"{'difference B - A':<22}{points(comparison.difference)} points",
        f"{'clips':<22}{comparison.clips:>8,}",
    ]
    if comparison.unlabelled:
        lines[-1] += f" ({comparison.unlabelled:,} more have no label)"
    lines += [_NOT_PAIRED] if comparison.paired is None else _paired_lines(comparison.paired, clips)
    return "\n".join([*lines, *_class_lines(comparison, classes)])


def points(difference: float) -> str:
    """A difference of two shares, in percentage points with its sign."""
    return f"{_points(difference):+8.2f}"


def format_side(side: Side) -> str:
    """Top-1 of one run, or mean and standard deviation over several."""
    if side.deviation is None:
        return f"{side.mean:8.2%}"
    each = ", ".join(f"{accuracy:.2%}" for accuracy in side.accuracies)
    return f"{side.mean:8.2%} ± {100 * side.deviation:.2f} (mean ± sd of {len(side.accuracies)} runs: {each})"


def format_p_value(paired: Paired) -> str:
    """McNemar's test in words."""
    how = "exact binomial" if paired.test == "exact" else "chi-square with continuity correction"
    return f"p = {paired.p_value:.3g} ({how})"


def format_interval(paired: Paired) -> str:
    """The bootstrap interval in words."""
    return (
        f"{_points(paired.low):+.2f} to {_points(paired.high):+.2f} points ({LEVEL:.0%}, bootstrap over clips, "
        f"{paired.resamples:,} resamples, seed {paired.seed})"
    )


def _points(share: float) -> float:
    return round(100 * share, 2) + 0.0  # no -0.00


_NOT_PAIRED = (
    "note: the spread is that of several trainings on the same clips; McNemar's test and the interval over clips are "
    "for one run against one."
)


def _paired_lines(paired: Paired, clips: int) -> list[str]:
    lines = [
        f"{'interval':<22}{format_interval(paired)}",
        f"{'McNemar':<22}{format_p_value(paired)}",
    ]
    for side, ids in (("A", paired.only_first), ("B", paired.only_second)):
        shown = ", ".join(ids[:clips]) + (", ..." if len(ids) > clips else "")
        lines.append(f"{f'only {side} is right':<22}{len(ids):>8,}{f'  {shown}' if ids else ''}")
    return lines


def _class_lines(comparison: Comparison, count: int) -> list[str]:
    rows = comparison.classes
    width = max(len("class"), *(len(row.name) for row in rows))
    lines = [
        f"  {row.name:<{width}}  {points(row.difference)}  {row.first:8.2%}  {row.second:8.2%}  {row.clips:>6,}"
        for row in rows
    ]
    if len(lines) > 2 * count + 1:
        lines[count:-count] = [f"  ... {len(lines) - 2 * count} classes between"]
    return [f"  {'class':<{width}}  {'B - A':>8}  {'A':>8}  {'B':>8}  {'clips':>6}", *lines]
