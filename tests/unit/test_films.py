"""Films of skeletons and the page that holds them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.viz.films import FILM_SCRIPT, FILM_STYLE, GRID, film_data, film_element
from bonegraph.viz.page import facts_section, page, tiles, write_page

STICK = Skeleton("stick", ("hip", "left hand", "right hand"), (0, 0, 0), (0, 2, 1))


def recording(frames: int = 6, people: int = 1, channels: int = 3, **fields: Any) -> Sequence:
    positions = np.zeros((frames, people, 3, channels), np.float32)
    positions[..., 1, 0], positions[..., 2, 0] = 1, -1  # the hands to the sides,
    positions[..., 1:, 1] = 2  # two above the hip,
    positions[..., 0] += np.arange(people)[:, None] * 10  # people apart
    shown = {"present": np.ones((frames, people), np.bool_), **fields}
    return Sequence(positions=shown.pop("positions", positions), skeleton=STICK, fps=30.0, unit="m", **shown)


def film(sequence: Sequence, **options: Any) -> dict[str, Any]:
    data = film_data(sequence, **options)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    return data


def points(data: dict[str, Any], person: int, frame: int) -> list[tuple[int, int]]:
    flat = data["people"][person][frame]
    return list(zip(flat[::2], flat[1::2], strict=True))


def test_a_film_is_plain_data() -> None:
    data = film(recording(), title="clip 1", note="why")
    assert (data["title"], data["note"], data["frames"], data["fps"]) == ("clip 1", "why", 6, 30.0)
    assert data["bones"] == [[1, 0], [2, 0]]
    assert data["sides"] == [0, 1, 2]
    assert len(data["people"]) == 1 and len(data["people"][0]) == 6
    width, height = data["size"]
    assert max(width, height) == GRID
    for x, y in points(data, 0, 3):
        assert isinstance(x, int) and 0 <= x <= width and 0 <= y <= height


def test_up_is_up_in_three_dimensions_and_in_pictures() -> None:
    hip, left, right = points(film(recording()), 0, 0)
    assert left[1] == right[1] < hip[1]  # y of a picture runs down, so the higher hands have the smaller one
    assert right[0] < hip[0] < left[0]
    hip, left, right = points(film(recording(channels=2)), 0, 0)
    assert left[1] == right[1] > hip[1]  # the picture of a camera runs down already
    # nothing is stretched: 2 wide and 2 high
    assert abs((left[0] - right[0]) - (left[1] - hip[1])) <= 1


def test_a_long_recording_is_thinned_and_takes_as_long() -> None:
    long = recording(300)
    long.positions[:, 0, :, 0] += np.arange(300)[:, None] / 100
    data = film(long)
    assert data["frames"] == 48
    assert data["frames"] / data["fps"] == pytest.approx(300 / 30, rel=1e-3)
    across = [points(data, 0, frame)[0][0] for frame in range(48)]
    assert across == sorted(across) and len(set(across)) == 48
    assert film(long, frames=1)["frames"] == 1
    assert film(recording(1))["frames"] == 1
    with pytest.raises(ValueError, match="at least 1 frame, got 0"):
        film_data(long, frames=0)


def test_who_is_absent_and_what_is_not_visible() -> None:
    present = np.ones((6, 2), np.bool_)
    present[2, 1] = False
    confidence = np.ones((6, 2, 3), np.float32)
    confidence[4, 0, 1] = 0
    data = film(recording(people=2, present=present, confidence=confidence))
    assert data["people"][1][2] is None
    assert all(frame is not None for frame in data["people"][0])
    assert points(data, 0, 4)[1] == (-1, -1)
    assert min(min(pair) for person in (0, 1) for pair in points(data, person, 0)) >= 0
    nobody = film(recording(present=np.zeros((6, 1), np.bool_)))
    assert nobody["people"] == [[None] * 6]


def test_joints_have_weights_in_place_of_sides() -> None:
    assert "weights" not in film(recording())
    weights = np.array([[0.25, 1.5, -0.5], [np.nan, np.nan, np.nan]])
    assert film(recording(people=2), weights=weights)["weights"] == [[0.25, 1.0, 0.0], None]
    with pytest.raises(ValueError, match=r"weights have shape \(2, 3\), but the film has \(1, 3\)"):
        film_data(recording(), weights=weights)


def test_a_joint_that_was_thrown_away_does_not_shrink_the_person() -> None:
    calm, wild = recording(60), recording(60)
    wild.positions[30, 0, 1] = 1e6
    normal, thrown = points(film(calm), 0, 0), points(film(wild), 0, 0)
    assert thrown[1][0] - thrown[2][0] > 0.5 * (normal[1][0] - normal[2][0])
    assert points(film(wild), 0, 30 * 47 // 59 + 1)[1] != (-1, -1)
    same = film(recording(4, positions=np.full((4, 1, 3, 3), 5, np.float32)))  # all in one point
    assert points(same, 0, 0)[0] == points(same, 0, 3)[2]


def test_sides_follow_names_and_else_the_mirror() -> None:
    for skeleton in SKELETONS.values():
        positions = np.zeros((1, 1, skeleton.num_joints, 3), np.float32)
        sequence = Sequence(positions, np.ones((1, 1), np.bool_), skeleton, 30.0, "m")
        for side, name in zip(film(sequence)["sides"], skeleton.joints, strict=True):
            assert side == {"left": 1, "right": 2}.get(name.split()[0], 0)
    unnamed = Skeleton("letters", ("a", "b", "c"), (0, 0, 0), (0, 2, 1))
    sequence = Sequence(np.zeros((1, 1, 3, 2), np.float32), np.ones((1, 1), np.bool_), unnamed, 30.0, "px")
    assert film(sequence)["sides"] == [0, 1, 2]


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


HOSTILE = """<script>alert(1)</script>"' onclick="x" & </figure>"""


def test_an_element_is_escaped_and_has_no_handler() -> None:
    found = Elements(film_element(HOSTILE, HOSTILE, HOSTILE))
    (canvas,) = found.all("canvas")
    assert canvas["data-film"] == HOSTILE and canvas["class"] == "film"
    assert HOSTILE in str(canvas["aria-label"])
    assert not found.all("script") and found.text.count(HOSTILE) == 2
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]


def test_a_page_allows_exactly_its_scripts(tmp_path: Path) -> None:
    data = {"films": {HOSTILE: film(recording(), title=HOSTILE)}}
    sections = [tiles({HOSTILE: HOSTILE}), facts_section(HOSTILE, {HOSTILE: HOSTILE, "command": HOSTILE})]
    text = page(HOSTILE, sections, data=data, scripts=[FILM_SCRIPT, "let a;\r\n"], style=FILM_STYLE)
    found = Elements(text)
    policy = next(meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    allowed = set(re.findall(r"'(sha256-[^']+)'", str(policy)))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2 and "\r" not in text
    hashes = {"sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts}
    assert hashes == allowed
    assert "default-src 'none'" in str(policy)
    payload = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert json.loads(payload[0]) == data
    assert len(found.all("script")) == 3
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", text)
    assert "script-src 'none'" in page("plain", [])
    with pytest.raises(ValueError):
        page("t", [], data={"x": float("nan")})
    write_page(tmp_path / "page.html", text + "\udcff")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_page(tmp_path / "nowhere" / "page.html", text)


def test_the_script_is_javascript(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node to read JavaScript")
    (tmp_path / "film.js").write_text(FILM_SCRIPT)
    subprocess.run(["node", "--check", str(tmp_path / "film.js")], check=True, timeout=60)
    for colour in re.findall(r'"--film-" \+ side|--film-(\w+)', FILM_SCRIPT):
        assert not colour or f"--film-{colour}" in FILM_STYLE
    assert "eval" not in FILM_SCRIPT and "innerHTML" not in FILM_SCRIPT
