"""Explanations as words, films and pages."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from bonegraph.inference.explain import Explanation
from bonegraph.inference.faithfulness import Faithfulness
from bonegraph.inference.focused import Focused
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.viz.explained import draw_explanation
from bonegraph.viz.explained_film import ExplainedFilm
from bonegraph.viz.explained_page import _CURSOR_SCRIPT, explanation_page
from bonegraph.viz.explained_words import Moment, faithful_words, over_time, strongest_moment, strongest_places, words
from bonegraph.viz.films import film_data
from bonegraph.viz.video import write_film

BODY = SKELETONS["sbu15"]
RIGHT_HAND, RIGHT_ELBOW = BODY.joints.index("right hand"), BODY.joints.index("right elbow")
SHARES = np.array([0, 0.5, 1])
GOOD = Faithfulness(SHARES, np.array([0.9, 0.1, 0.1]), np.array([0.1, 0.8, 0.9]), np.array([0.9, 0.5, 0.1]))


def explanation(focus: NDArray[np.floating], channels: int = 3, **fields: Any) -> Explanation:
    """Of a focus (T, M, V); what is NaN in it is not seen by the network, but is in the recording."""
    positions = np.random.default_rng(0).standard_normal((*focus.shape, channels)).astype(np.float32)
    present = np.ones(focus.shape[:2], np.bool_)
    shown: dict[str, Any] = {
        "sequence": Sequence(positions, present, BODY, 10.0, "m"),
        "focus": focus.astype(np.float64),
        "heads": (focus.astype(np.float64),),
        "action": "wave",
        "probability": 0.931,
        "predicted": "wave",
        "notes": (),
        "focused": Focused(0, torch.ones(1), ()),
    }
    return Explanation(**{**shown, **fields})


def nothing(frames: int = 20, people: int = 1) -> NDArray[np.float64]:
    return np.zeros((frames, people, BODY.num_joints))


def raised_hand() -> NDArray[np.float64]:
    """The right hand from frame 6 to 9, half as much the elbow, and a bit the head all the time."""
    focus = nothing()
    focus[6:10, 0, RIGHT_HAND] = 1
    focus[6:10, 0, RIGHT_ELBOW] = 0.5
    focus[:, 0, BODY.joints.index("head")] = 0.05
    return focus


def test_words_say_where_and_when() -> None:
    one = explanation(raised_hand())
    assert words(one) == (
        "class 'wave' (93.1%): 57% of the focus is on right hand (7% if it were even); it is strongest between 0.6 and "
        "1.0 s."
    )
    first, second = strongest_places(one)[:2]
    assert (first.joint, second.joint) == (RIGHT_HAND, RIGHT_ELBOW)
    assert first.share == pytest.approx(4 / 7) and second.share == pytest.approx(2 / 7)
    assert sum(place.share for place in strongest_places(one)) == pytest.approx(1)
    np.testing.assert_allclose(over_time(one), [0.05] * 6 + [1.55] * 4 + [0.05] * 10)
    assert strongest_moment(one) == Moment(6, 9)
    other = words(replace(one, action="sit", probability=0.02))
    assert other.startswith("class 'sit' (2.0%, the answer is 'wave'): ")


def test_words_name_as_many_joints_as_half_of_the_focus_needs() -> None:
    focus = nothing()
    focus[:, 0, :4] = [0.3, 0.2, 0.4, 0.1]
    names = [BODY.joints[joint] for joint in (2, 0)]
    text = words(explanation(focus))
    assert (
        f"70% of the focus is on {names[0]} and {names[1]} (13% if it were even); it is spread over the whole" in text
    )
    focus[:, 0] = 0.5
    assert "20% of the focus is on" in words(explanation(focus))  # three of fifteen at most


def test_words_about_several_people() -> None:
    focus = nothing(people=3)
    focus[3, 2, RIGHT_HAND], focus[3, 0, 0] = 0.75, 0.25
    focus[:, 1] = np.nan
    text = words(explanation(focus))
    assert "75% of the focus is on right hand of person 3 (3% if it were even)" in text
    assert "; person 1 has 25%, person 3 has 75%; it is strongest at 0.3 s." in text


@pytest.mark.parametrize("frames", [1, 20])
def test_words_about_a_flat_focus(frames: int) -> None:
    one = explanation(nothing(frames))
    assert one.flat and strongest_moment(one) is None
    assert words(one) == (
        "class 'wave' (93.1%): the focus is flat; no joint and no moment speaks more for this class than another."
    )


def test_words_about_one_frame() -> None:
    focus = nothing(1)
    focus[0, 0, RIGHT_HAND] = 1
    assert words(explanation(focus)).endswith(
        "100% of the focus is on right hand (7% if it were even); there is one frame only."
    )


def test_frames_that_the_network_does_not_take() -> None:
    focus = raised_hand()
    focus[:6] = focus[12:] = np.nan
    one = explanation(focus)
    assert np.isnan(over_time(one)[:6]).all() and strongest_moment(one) == Moment(6, 9)


@pytest.mark.parametrize(
    ("deletion", "insertion", "said"),
    [
        ([0.9, 0.1, 0.1], [0.1, 0.8, 0.9], "; faithful: "),
        ([0.9, 0.1, 0.1], [0.1, 0.3, 0.9], "; half faithful: better than chance in deletion only."),
        ([0.9, 0.8, 0.1], [0.1, 0.8, 0.9], "; half faithful: better than chance in insertion only."),
        ([0.9, 0.8, 0.1], [0.1, 0.3, 0.9], "; not faithful: "),
        ([0.9, 0.49, 0.1], [0.1, 0.51, 0.9], "; not faithful: "),  # that near is chance
    ],
)
def test_words_about_the_curves(deletion: list[float], insertion: list[float], said: str) -> None:
    text = faithful_words(replace(GOOD, deletion=np.array(deletion), insertion=np.array(insertion)))
    assert said in text and text.startswith("deletion 0.") and "random order 0.500" in text


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize(("frames", "count"), [(240, 20), (7, 7), (1, 1)])
def test_an_mp4_has_the_frames_and_the_time_of_the_recording(
    tmp_path: Path, channels: int, frames: int, count: int
) -> None:
    av = pytest.importorskip("av")
    one = explanation(raised_hand(), channels)
    path = draw_explanation(one, tmp_path / "a.mp4", title="clip", frames=frames)
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert float(stream.average_rate) == pytest.approx(10 * count / 20, rel=1e-3)
    assert len(pictures) == count
    expected = list(ExplainedFilm(one, "clip", frames))
    for got, wanted in zip(pictures, expected, strict=True):
        assert got.shape == wanted.shape and got.shape[0] % 2 == got.shape[1] % 2 == 0
        assert np.abs(got.astype(int) - wanted.astype(int)).mean() < 3
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("frames", "count"), [(240, 20), (7, 7), (1, 1)])
def test_a_gif_has_the_frames_and_the_time_of_the_recording(tmp_path: Path, frames: int, count: int) -> None:
    path = draw_explanation(explanation(raised_hand()), tmp_path / "a.gif", frames=frames)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == count
        durations = []
        for number in range(count):
            image.seek(number)
            durations.append(image.info.get("duration", 0))
        if count > 1:
            assert image.info["loop"] == 0
            assert sum(durations) == pytest.approx(2000, abs=10)  # 20 frames at 10 a second


def test_a_fast_gif_keeps_all_frames(tmp_path: Path) -> None:
    pictures = [np.full((4, 6, 3), number, np.uint8) for number in range(0, 200, 20)]
    write_film(tmp_path / "a.gif", iter(pictures), 120.0)
    with Image.open(tmp_path / "a.gif") as image:
        assert getattr(image, "n_frames", 1) == 10 and image.info["duration"] == 20


def orange(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where the strongest focus is drawn."""
    near = np.abs(picture.astype(int) - [0xD9, 0x48, 0x0F]).max(axis=2) < 12
    return np.argwhere(near)


def test_pictures_show_the_focus_where_it_is() -> None:
    focus = nothing()
    focus[5:10, 0, RIGHT_HAND] = 1
    film = ExplainedFilm(explanation(focus))
    pictures = list(film)
    assert len(pictures) == film.count == 20 and film.fps == 10
    left = [len(spots[spots[:, 1] < 400]) for spots in map(orange, pictures)]  # on the body
    assert all((spots > 20) == (5 <= number < 10) for number, spots in enumerate(left)), left
    right = [len(spots[(spots[:, 1] > 450) & (spots[:, 1] < 1000)]) for spots in map(orange, pictures)]
    assert min(right) > 500  # in the map, whatever the time
    cursors = []
    for picture in pictures:
        blue = np.argwhere(np.abs(picture.astype(int) - [0x1F, 0x6F, 0xEB]).max(axis=2) < 12)
        cursors.append(float(blue[:, 1].mean()))
    steps = np.diff(cursors)
    assert (steps > 0).all() and np.ptp(steps) < 2.5  # one step a picture


def test_missing_joints_are_not_drawn() -> None:
    one = explanation(raised_hand())
    confidence = np.ones(one.sequence.positions.shape[:3], np.float32)
    confidence[:, 0, RIGHT_HAND] = 0
    hidden = replace(one, sequence=replace(one.sequence, confidence=confidence))
    for number, (whole, part) in enumerate(zip(ExplainedFilm(one), ExplainedFilm(hidden), strict=True)):
        dots = [len(spots[spots[:, 1] < 400]) for spots in (orange(whole), orange(part))]
        assert dots[1] == 0 and (dots[0] > 20) == (6 <= number < 10)
    absent = replace(one, sequence=replace(one.sequence, present=np.zeros((20, 1), np.bool_)))
    body = next(iter(ExplainedFilm(absent)))[60:480, :380]
    assert (body == 255).mean() > 0.99


def test_each_person_has_a_map() -> None:
    focus = nothing(people=3)
    focus[:, 0] = np.nan
    focus[:, 1, 0], focus[:, 2, 1] = 0.3, 1
    film = ExplainedFilm(explanation(focus))
    maps = [axes for axes in film.figure.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in maps] == ["person 2", "person 3"]
    for axes, person in zip(maps, (1, 2), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), focus[:, person].T)
        assert [label.get_text() for label in axes.get_yticklabels()] == list(BODY.joints)
    height, width, _ = next(iter(film)).shape
    assert height % 2 == width % 2 == 0


def test_pictures_and_pages_of_a_flat_focus_and_of_one_frame(tmp_path: Path) -> None:
    for number, frames in enumerate((1, 5)):
        one = explanation(nothing(frames))
        assert len(list(ExplainedFilm(one))) == frames
        text = draw_explanation(one, tmp_path / f"{number}.html", found=GOOD).read_text()
        assert "the focus is flat" in text and "<p>The focus is flat.</p>" in text


def test_moving_weights_of_a_film() -> None:
    focus = raised_hand()
    focus[0, 0, 3] = np.nan
    data: Any = film_data(explanation(focus).sequence, frames=5, weights=focus)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    chosen = np.linspace(0, 19, 5).round().astype(int)
    assert len(data["weights"]) == 1 and len(data["weights"][0]) == 5
    assert data["weights"][0][0][3] is None
    for row, frame in zip(data["weights"][0][1:], chosen[1:], strict=True):
        np.testing.assert_allclose(row, focus[frame, 0], atol=1e-3)
    with pytest.raises(
        ValueError, match=r"weights have shape \(3, 1, 15\), but the film has \(1, 15\) or \(20, 1, 15\)"
    ):
        film_data(explanation(focus).sequence, weights=focus[:3])


def parts_of(text: str) -> dict[str, Any]:
    payload = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    found: dict[str, Any] = json.loads(payload[0])
    return found


def test_the_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    one = explanation(raised_hand(), action="<b>wave", notes=("<u>a note",))
    path = draw_explanation(one, tmp_path / "a.html", found=GOOD, title="<i>clip", facts={"who": "<s>me"})
    text = path.read_text()
    for tag in ("<b>", "<u>", "<i>", "<s>"):
        assert tag not in text
    assert not re.findall(
        r"(?:src|href|url)\s*[=(]\s*['\"]?\s*(?!data:)[a-z/.]", re.sub(r"<script.*?</script>", "", text)
    )
    assert "http://" not in text and "https://" not in text and "default-src 'none'" in text
    films = parts_of(text)["films"]
    assert list(films) == ["focus"] and text.count('<canvas class="film" data-film="focus"') == 1
    np.testing.assert_allclose(films["focus"]["weights"][0], raised_hand()[:, 0], atol=1e-3)
    assert "&lt;u&gt;a note" in text and "57% of the focus is on right hand" in text
    cells = [re.sub("<.*?>", "", cell).strip() for cell in re.findall(r"<td>(.*?)</td>", text)]
    assert cells[:4] == ["right hand", "57.1%", "right elbow", "28.6%"]
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


def test_the_map_of_the_page_is_the_focus() -> None:
    focus = raised_hand()
    focus[:2] = np.nan
    text = explanation_page(explanation(focus), None)
    (picture,) = re.findall(r"href='data:image/png;base64,(.*?)'", text)
    dots = np.array(Image.open(io.BytesIO(base64.b64decode(picture))))
    assert dots.shape == (BODY.num_joints, 20, 4)
    np.testing.assert_allclose(dots[:, 2:, 3] / 255, focus[2:, 0].T, atol=0.003)
    assert (dots[:, :2] == dots[0, 0]).all() and tuple(dots[0, 0, :3]) != tuple(dots[0, 2, :3])
    assert re.findall(r"text-anchor='end'>([^<]*)</text>", text)[: BODY.num_joints] == list(BODY.joints)
    assert "<polyline" not in text and "Is the focus faithful?" not in text


def test_the_curves_of_the_page() -> None:
    text = explanation_page(explanation(raised_hand()), GOOD)
    lines = re.findall(r"<polyline class='(\w+)' points='(.*?)'", text)
    assert [name for name, _ in lines] == ["chance", "focus", "chance", "focus"]
    heights = [[float(point.split(",")[1]) for point in points.split()] for _, points in lines]
    assert heights[0] == heights[2][::-1]  # showing in random order is hiding in reverse
    for row, values in ((1, GOOD.deletion), (3, GOOD.insertion)):
        np.testing.assert_allclose([(10 + 194 - y) / 194 for y in heights[row]], values, atol=1e-3)
    assert f"{GOOD.gain:+.2f}" in text


def test_the_page_shows_every_head_and_person() -> None:
    focus = nothing(people=2)
    focus[:, 0, 1], focus[:, 1, 2] = 1, 0.5
    text = explanation_page(explanation(focus, heads=(focus, focus[:, ::-1])), None)
    assert text.count("<svg class='heat'") == 6
    assert re.findall(r"<h3>(.*?)</h3>", text) == [
        "Person 1", "Person 2", "Head 1", "Person 1", "Person 2", "Head 2", "Person 1", "Person 2",
    ]  # fmt: skip


def test_the_script_of_the_cursor_can_be_read(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs node to read JavaScript")
    (tmp_path / "cursor.js").write_text(_CURSOR_SCRIPT)
    done = subprocess.run(["node", "--check", str(tmp_path / "cursor.js")], timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_film_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"old")

    def broken() -> Any:
        yield np.zeros((4, 4, 3), np.uint8)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_film(tmp_path / "a.gif", broken(), 10)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.gif", b"old")]


def test_what_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = explanation(raised_hand())
    with pytest.raises(
        ValueError, match=r"cannot write into 'a\.avi'; the name must end in one of: \.html, \.mp4, \.gif"
    ):
        draw_explanation(one, "a.avi")
    with pytest.raises(ValueError, match="frames must be at least 1, got 0"):
        draw_explanation(one, tmp_path / "a.gif", frames=0)
    for name in ("a.html", "a.gif"):
        with pytest.raises(FileNotFoundError, match="make it first"):
            draw_explanation(one, tmp_path / "nowhere" / name)
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    with pytest.raises(ValueError, match=r"an \.mp4 needs PyAV, which is not installed: pip install .*\[video\]"):
        draw_explanation(one, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []
