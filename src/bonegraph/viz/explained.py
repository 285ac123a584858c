"""Write an explanation as a film or as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bonegraph.inference.explain import Explanation
from bonegraph.inference.faithfulness import Faithfulness
from bonegraph.viz.explained_film import ExplainedFilm
from bonegraph.viz.explained_page import explanation_page
from bonegraph.viz.page import write_page
from bonegraph.viz.video import FILMS, check_film, write_film

KINDS = (".html", *FILMS)


def check_target(path: Path, frames: int) -> None:
    """See that an explanation can be written, before it is made.

    Raises:
        ValueError: an unknown kind of file, no frames, or what an mp4 needs is not installed.
        FileNotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"cannot write into '{path}'; the name must end in one of: {', '.join(KINDS)}.")
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}.")
    if path.suffix.lower() in FILMS:
        check_film(path)
    elif not path.parent.is_dir():
        raise FileNotFoundError(f"no folder '{path.parent}' to write '{path.name}' into; make it first.")


def draw_explanation(
    explanation: Explanation,
    path: str | Path,
    *,
    found: Faithfulness | None = None,
    title: str = "",
    facts: Mapping[str, str] | None = None,
    frames: int = 240,
) -> Path:
    """Write an explanation.

    Args:
        explanation: what is shown.
        path: ``.html``, ``.mp4`` or ``.gif``; replaced only when the new one is complete.
        found: its faithfulness, whose curves the page has.
        title: what the recording is.
        facts: what a reader of the page needs to repeat it.
        frames: at most so many frames of the film, spread evenly; it takes as long as the recording.

    Returns:
        The path written.

    Raises:
        ValueError: as `check_target`.
        FileNotFoundError: as `check_target`.
    """
    path = Path(path)
    check_target(path, frames)
    if path.suffix.lower() == ".html":
        write_page(path, explanation_page(explanation, found, title=title, facts=facts, frames=frames))
    else:
        film = ExplainedFilm(explanation, title, frames)
        write_film(path, iter(film), film.fps)
    return path
