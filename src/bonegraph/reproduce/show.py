"""A measured table as Markdown and as a page."""

from __future__ import annotations

from html import escape

from bonegraph.reproduce.table import Cells, Row, Table
from bonegraph.viz.page import page


def _body(table: Table, rows: tuple[Row, ...], cells: Cells) -> list[list[str]]:
    """The table as text, headings first: the paper's value beside ours in every column.

    What the paper says differently elsewhere is marked, see `_remarks`.
    """
    marks = {row.title: "†" * number for number, row in enumerate(_remarked(rows), start=1)}
    lines = [["", *(f"{column.title} ({who})" for column in table.columns for who in ("paper", "ours"))]]
    for row in rows:
        line = [row.title + (" (not in the paper)" if row.ours else "") + marks.get(row.title, "")]
        for column, value in zip(table.columns, row.paper, strict=True):
            measured = cells.get((row.title, column.title))
            unit = " M" if column.counts_parameters else ""
            line += [
                "" if value is None else f"{value:.{column.digits}f}{unit}",
                "" if measured is None else str(measured),
            ]
        lines.append(line)
    return lines


def _remarked(rows: tuple[Row, ...]) -> list[Row]:
    return [row for row in rows if row.remark]


def _remarks(rows: tuple[Row, ...]) -> list[str]:
    return [f"{'†' * number} {row.remark}" for number, row in enumerate(_remarked(rows), start=1)]


def markdown(table: Table, rows: tuple[Row, ...], cells: Cells) -> str:
    """The table as Markdown, and below it what has to be said about it."""
    head, *body = (["\\*".join(text.split("*")) for text in line] for line in _body(table, rows, cells))
    lines = [head, ["---"] * len(head), *body]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([text, *([table.note] if table.note else []), *_remarks(rows)])


def html(table: Table, rows: tuple[Row, ...], cells: Cells, facts: dict[str, str]) -> str:
    """The table as a page of its own, with what a reader needs to repeat it."""
    head, *body = _body(table, rows, cells)
    titles = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "".join(
        f"<tr><th scope='row'>{escape(line[0])}</th>"
        + "".join(f"<td class='number'>{escape(text)}</td>" for text in line[1:])
        + "</tr>"
        for line in body
    )
    remarks = "".join(f"<p>{escape(text)}</p>" for text in _remarks(rows))
    told = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items()
    )
    return page(
        table.title,
        [
            f"<section><h2>{escape(table.source)}</h2><p>Percent; the paper's values are on its own data, ours "
            f"on the data below, mean ± standard deviation over runs. {escape(table.note)}</p>"
            f"<div class='wide'><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>{remarks}"
            "</section>",
            f"<section><h2>How it was measured</h2><table class='facts'>{told}</table></section>",
        ],
    )
