"""The report of a validation: one HTML file with what was found, and films of the suspects."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from pathlib import Path

from bonegraph.datasets.store import Store
from bonegraph.datasets.validate import MEANING, Finding, Validation
from bonegraph.viz.films import FILM_SCRIPT, FILM_STYLE, film_data, film_element
from bonegraph.viz.page import facts_section, page, tiles, write_page

FILMS = 24
"""At most so many films are in a report, which keeps it below a megabyte or two."""
_LISTED = 100  # findings of a kind
_IDS = 12  # ids of a finding
_CLIPS = 4  # films of one finding
_UNSEEN = ("leak", "empty", "not-finite", "part", "classes")  # a film shows nothing of these


def write_validation(path: str | Path, store: Store, found: Validation, *, split: str = "") -> Path:
    """Write a self-contained HTML report.

    Args:
        path: file to write; its folder must exist.
        store: what was validated.
        found: what was found in it.
        split: if only one was looked at.

    Returns:
        The path.

    Raises:
        FileNotFoundError: the folder of ``path`` does not exist.
        OSError: it cannot be written.
    """
    path = Path(path)
    films: dict[str, object] = {}
    shown: dict[Finding, list[tuple[str, str]]] = {}
    for finding, clip in _suspects(found):
        if len(films) == FILMS:
            break
        key = f"film{len(films)}"
        try:
            films[key] = film_data(store.sequence(store.find(clip)), title=clip, note=finding.kind)
        except ValueError:  # a clip that cannot be shown is listed all the same
            continue
        shown.setdefault(finding, []).append((key, clip))
    sections = [
        tiles(
            {
                "Clips": f"{found.clips:,}",
                "Errors": f"{found.count('error'):,}",
                "Warnings": f"{found.count('warning'):,}",
                "Notes": f"{found.count('note'):,}",
            }
        ),
        facts_section(
            "Data set",
            {
                "name": store.name,
                "skeleton": f"{store.skeleton.name}, {store.skeleton.num_joints} joints, {store.unit}",
                "frame rate": f"{store.fps:g} per second",
                "looked at": f"split '{split}' and its clips" if split else "every clip and every split",
                "source": store.card.source,
                "made": ", ".join(
                    f"{name} {text}" for name, text in store.card.made.items() if name != "files" and text
                ),
            },
        ),
        *_sections(found, shown),
    ]
    title = f"What is suspicious in {store.name}"
    text = page(
        title, sections, data={"films": films}, scripts=[FILM_SCRIPT] if films else [], style=_STYLE + FILM_STYLE
    )
    write_page(path, text)
    return path


def _suspects(found: Validation) -> Iterator[tuple[Finding, str]]:
    """Clips worth watching: of each kind one, then of each kind a second one, and so on; copies side by side."""
    kinds = [
        [(finding, clip) for finding in findings for clip in finding.clips[:_CLIPS]]
        for (severity, kind), findings in found.by_kind.items()
        if severity != "note" and kind not in _UNSEEN
    ]
    seen: set[tuple[str, str]] = set()
    for pick in zip_longest(*(_in_pairs(clips) for clips in kinds)):
        for finding, clip in (one for pair in pick if pair is not None for one in pair):
            if (finding.kind, clip) not in seen:
                seen.add((finding.kind, clip))
                yield finding, clip


def _in_pairs(clips: list[tuple[Finding, str]]) -> Iterator[list[tuple[Finding, str]]]:
    start = 0
    while start < len(clips):
        together = 2 if clips[start][0].kind == "duplicate" else 1
        yield clips[start : start + together]
        start += together


def _sections(found: Validation, shown: dict[Finding, list[tuple[str, str]]]) -> Iterator[str]:
    if not found.findings:
        yield '<section><h2>Findings</h2><p class="note">Nothing suspicious was found.</p></section>'
        return
    rows = []
    for (severity, kind), findings in found.by_kind.items():
        clips = len({clip for finding in findings for clip in finding.clips})
        rows.append(
            f'<tr><td><span class="badge {severity}">{severity}</span></td>'
            f'<td class="kind"><a href="#{severity}-{kind}">{kind}</a></td>'
            f"<td class='number'>{len(findings):,}</td><td class='number'>{f'{clips:,}' if clips else ''}</td>"
            f"<td>{escape(MEANING[kind])}</td></tr>"
        )
    yield (
        "<section><h2>Findings</h2>"
        "<p>Errors make results untrue, warnings are clips to look at, notes are worth knowing.</p>"
        "<div class='wide'><table><thead><tr><th>Severity</th><th>Kind</th><th class='number'>Findings</th>"
        "<th class='number'>Clips</th><th>What it is</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )
    for (severity, kind), findings in found.by_kind.items():
        items = "".join(_item(finding) for finding in findings[:_LISTED])
        if len(findings) > _LISTED:
            more = f"and {len(findings) - _LISTED:,} more; bonegraph validate --json lists them all"
            items += f"<li><small>{more}</small></li>"
        films = "".join(film_element(key, clip) for finding in findings for key, clip in shown.get(finding, ()))
        yield (
            f'<section id="{severity}-{kind}"><h2><span class="badge {severity}">{severity}</span> {kind}</h2>'
            f"<p>{escape(MEANING[kind])}</p>"
            + (f'<div class="films">{films}</div>' if films else "")
            + f'<div class="tall"><ul>{items}</ul></div></section>'
        )


def _item(finding: Finding) -> str:
    ids = [clip for clip in finding.clips if f"'{clip}'" not in finding.message]
    more = f" and {len(ids) - _IDS:,} more" if len(ids) > _IDS else ""
    named = ", ".join(f"<code>{escape(clip)}</code>" for clip in ids[:_IDS])
    return f"<li>{escape(finding.message)}" + (f" <small>{named}{more}</small>" if named else "") + "</li>"


_STYLE = """
.badge {
  display: inline-block; border-radius: 6px; padding: 0 .45rem; font-size: .8rem; font-weight: 600; color: #fff;
}
.kind { white-space: nowrap; }
.badge.error { background: #c92a2a; }
.badge.warning { background: #b35c00; }
.badge.note { background: #5d6878; }
a { color: var(--second); }
ul { margin: .6rem 0 0; padding-left: 1.1rem; font-size: .9rem; }
li { margin: .2rem 0; overflow-wrap: anywhere; }
"""
