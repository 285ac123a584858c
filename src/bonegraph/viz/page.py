"""The shell of every HTML report: one file that opens anywhere, also without a network.

The numbers behind charts and films travel as JSON and are drawn by scripts that are inside the file. A content security
policy lets the browser run exactly these scripts and nothing else, and load nothing at all: even if a name slipped
through the escaping, it could not act.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from bonegraph.files import write_whole


def page(
    title: str,
    sections: Iterable[str],
    *,
    data: Mapping[str, object] | None = None,
    scripts: Iterable[str] = (),
    style: str = "",
) -> str:
    """A whole HTML page.

    Args:
        title: its heading, plain text.
        sections: of HTML in which everything that comes from a user is escaped.
        data: what the scripts read: ``JSON.parse(document.getElementById("data").textContent)``.
        scripts: run in their order, after the data and the sections are there. Each is text of our own.
        style: CSS besides `PAGE_STYLE`.

    Raises:
        ValueError: the data hold a number that JSON lacks (NaN, infinity).
    """
    # The parser turns \r\n into \n before it hashes a script, so the hash here has to be of the same text.
    texts = [script.replace("\r\n", "\n") for script in scripts]
    allowed = " ".join(map(_fingerprint, texts)) or "'none'"
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
    # "<" is the only character with which JSON text could end its script element.
    payload = json.dumps(data or {}, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    without = (
        '<noscript><p class="note">Charts and films need JavaScript; all tables are readable without it.</p></noscript>'
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{PAGE_STYLE}{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{without if texts else ""}
{"".join(sections)}
</main>
<script type="application/json" id="data">{payload}</script>
{"".join(f"<script>{text}</script>" for text in texts)}
</body>
</html>
"""


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        FileNotFoundError: its folder does not exist.
        OSError: it cannot be written.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write the report: no folder {path.parent}. Make it first.")
    # A path or host name that is not text in any encoding must not cost the whole report.
    write_whole(path, text.encode("utf-8", errors="xmlcharrefreplace"))


def facts_section(heading: str, facts: Mapping[str, str]) -> str:
    """A table of names and values, escaped; empty without facts. The value of "command" is set as code."""
    if not facts:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>'
        + (f"<code>{escape(str(value))}</code>" if name.lower() == "command" else escape(str(value)))
        + "</td></tr>"
        for name, value in facts.items()
    )
    return f'<section><h2>{escape(heading)}</h2><table class="facts">{rows}</table></section>'


def tiles(values: Mapping[str, str]) -> str:
    """The few numbers at the top of a report, escaped."""
    cells = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>" for name, value in values.items()
    )
    return f'<dl class="tiles">{cells}</dl>'


def _fingerprint(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


PAGE_STYLE = """
:root {
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5d6878; --line: #e2e6ec;
  --first: #8a97a8; --second: #1f6feb; --low: #f1f4f8; --middle: #6ea8fe; --high: #0b3d91;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f141b; --card: #171e27; --ink: #e6eaf0; --soft: #98a4b3; --line: #2a3442;
    --first: #8391a3; --second: #5aa2ff; --low: #1d2632; --middle: #2f6fc4; --high: #b9dcff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .75rem; color: var(--soft); font-size: .9rem; }
section, .tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 1.1rem 1.25rem; margin: 1rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: .75rem; margin: 0 0 1rem; }
.tiles div { padding: .8rem 1.1rem; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.6rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.note { border-left: 3px solid var(--second); padding: .1rem .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-top: 1px solid var(--line); }
tr:first-child > th, .facts tr:first-child > td { border-top: 0; }
th { color: var(--soft); font-weight: 500; }
td { overflow-wrap: anywhere; min-width: 6rem; }
td.number { min-width: 0; overflow-wrap: normal; }
.facts th { width: 9rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-right: 1.5rem; }
small { color: var(--soft); }
code { font: .86em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.wide { overflow-x: auto; }
.tall { max-height: 640px; overflow-y: auto; }
@media (max-width: 600px) {
  main { padding: 1rem .6rem 3rem; }
  section { padding: .9rem .8rem; }
  .facts th { width: 6rem; }
}
@media print { .tall { max-height: none; } section { break-inside: avoid; } }
"""
