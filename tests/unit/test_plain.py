"""Settings to plain data and back."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import yaml

from bonegraph.models.stgcn import Config, best, paper, released
from bonegraph.plain import from_plain, to_plain
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms


@dataclass(frozen=True)
class Inner:
    low: float = 0.5
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    count: int
    on: bool = False
    colour: Literal["red", "green"] = "red"
    size: tuple[float, float] | None = None
    inner: Inner = field(default_factory=Inner)
    several: tuple[Inner, ...] = ()
    title: str = ""


EXAMPLES = [
    Outer(3),
    Outer(3, True, "green", (1.0, 2.5), Inner(1e-4, ("a", "b")), (Inner(), Inner(2.0)), "x"),
    Config(),
    paper("quarter"),
    released(),
    best("half", in_channels=2),
    Length("crop-resize", 32, crop=(0.3, 0.9)),
    Transforms("bone-motion", "frame", True, "image", (1920.0, 1080.0), True, Augment((1.0, 2.0, 3.0), (0.9, 1.1))),
]


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_there_and_back(value: Any) -> None:
    plain = to_plain(value)
    assert from_plain(type(value), plain) == value
    assert from_plain(type(value), json.loads(json.dumps(plain))) == value
    assert from_plain(type(value), yaml.safe_load(yaml.safe_dump(plain))) == value


def test_plain_is_plain() -> None:
    def check(value: Any) -> None:
        assert value is None or isinstance(value, bool | int | float | str | list | dict)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    for value in EXAMPLES:
        check(to_plain(value))
    assert to_plain({1: (2, Inner())}) == {"1": [2, {"low": 0.5, "names": []}]}


def test_types_are_restored() -> None:
    value = from_plain(Outer, {"count": 3, "size": [1, 2], "inner": {"low": "1e-4", "names": ["a"]}, "several": [{}]})
    assert value == Outer(3, size=(1.0, 2.0), inner=Inner(1e-4, ("a",)), several=(Inner(),))
    assert value.size is not None
    assert all(type(item) is float for item in (*value.size, value.inner.low))
    assert from_plain(Outer, {"count": 3, "size": None}).size is None


def test_fields_that_are_left_out_keep_their_default() -> None:
    assert from_plain(Outer, {"count": 1}) == Outer(1)


def test_one_value_stands_for_a_tuple_of_one() -> None:
    assert from_plain(Inner, {"names": "a"}) == Inner(names=("a",))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"count": 1, "colur": "red"}, "has no field 'colur'; did you mean 'colour'"),
        ({}, "needs the field 'count'"),
        ({"count": 1.5}, "count must be a whole number, got 1.5"),
        ({"count": "3"}, "count must be a whole number, got '3'"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"count": None}, "count must be a whole number, got None"),
        ({"count": 1, "on": 1}, "on must be true or false, got 1"),
        ({"count": 1, "on": "yes"}, "on must be true or false, got 'yes'"),
        ({"count": 1, "colour": "gren"}, "colour cannot be 'gren'; did you mean 'green'"),
        ({"count": 1, "colour": ["red"]}, "colour cannot be"),
        ({"count": 1, "size": [1]}, "size needs 2 values, got 1"),
        ({"count": 1, "size": 3.0}, "size needs 2 values, got 1"),
        ({"count": 1, "size": [1, "wide"]}, "size must be a number, got 'wide'"),
        ({"count": 1, "inner": {"low": True}}, r"inner\.low must be a number, got True"),
        ({"count": 1, "inner": {"lo": 1}}, "inner has no field 'lo'; did you mean 'low'"),
        ({"count": 1, "inner": 3}, "inner must be a mapping, got 3"),
        ({"count": 1, "several": [{"low": []}]}, r"several\.low must be a number"),
        ({"count": 1, "title": 5}, "title must be a text, got 5"),
        ({"count": 1, 5: 1}, "has no field '5'"),
        ([1, 2], r"must be a mapping, got \[1, 2\]"),
        (None, "must be a mapping, got None"),
        ("text", "must be a mapping, got 'text'"),
    ],
)
def test_mistakes_are_named_in_one_line(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_plain(Outer, data)
    assert "\n" not in str(caught.value)


def test_messages_say_where() -> None:
    with pytest.raises(ValueError, match=r"transforms\.augment\.mirror must be a number, got 'often'"):
        from_plain(Transforms, {"augment": {"mirror": "often"}}, "transforms")
    with pytest.raises(ValueError, match="config must be a mapping"):
        from_plain(Config, 5, "config")


def test_what_a_dataclass_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="widths has 2 units but strides has 1"):
        from_plain(Config, {"widths": [4, 4], "strides": [1]})


def test_every_field_of_the_settings_survives_a_change() -> None:
    for value in (Config(), Length(), Transforms(), Augment()):
        for entry in dataclasses.fields(value):
            plain = to_plain(value)
            assert entry.name in plain
