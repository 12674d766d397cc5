from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from llenergymeasure.model.codec import CodecError, JsonValue, decode, encode, from_line, to_line


@dataclass(frozen=True)
class Inner:
    number: int


@dataclass(frozen=True)
class Outer:
    name: str
    ratio: float = 1.0
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    maybe: int | None = None
    either: int | str = 0
    pair: tuple[int, str] = (0, "")
    many: tuple[Inner, ...] = ()
    table: Mapping[str, Inner] = field(default_factory=dict)
    free: Mapping[str, JsonValue] = field(default_factory=dict)
    anything: Any = None
    nothing: None = None


def test_defaults_stand_for_missing_keys() -> None:
    """A key that is not there takes the field's default."""
    assert decode(Outer, {"name": "x"}) == Outer("x")


def test_whole_value() -> None:
    """Nested values become the types that the hints say."""
    value = {
        "name": "x",
        "ratio": 2,
        "flag": True,
        "choice": "b",
        "maybe": 3,
        "either": "text",
        "pair": [1, "one"],
        "many": [{"number": 1}],
        "table": {"k": {"number": 2}},
        "free": {"deep": [1, {"a": None}]},
        "anything": [1],
        "nothing": None,
    }
    decoded = decode(Outer, value)
    assert decoded.many == (Inner(1),) and decoded.table == {"k": Inner(2)}
    assert type(decoded.ratio) is float
    assert encode(decoded) == {**value, "ratio": 2.0}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], r"\$: expected an object, found an array"),
        ({}, r"\$\.name: missing"),
        ({"name": 1}, r"\$\.name: expected str, found int 1"),
        ({"name": None}, r"\$\.name: expected str, found null"),
        ({"name": "x", "ratio": True}, r"\$\.ratio: expected float, found bool True"),
        ({"name": "x", "ratio": float("nan")}, r"\$\.ratio: expected a finite number, found nan"),
        ({"name": "x", "ratio": 10**400}, r"\$\.ratio: expected a finite number"),
        ({"name": "x", "flag": 1}, r"\$\.flag: expected bool"),
        ({"name": "x", "choice": "c"}, r"\$\.choice: 'c' is not one of 'a', 'b'"),
        ({"name": "x", "maybe": "3"}, r"\$\.maybe: expected int"),
        ({"name": "x", "either": None}, r"\$\.either: null fits none of"),
        ({"name": "x", "pair": [1]}, r"\$\.pair: expected 2 items, found 1"),
        ({"name": "x", "pair": "1x"}, r"\$\.pair: expected an array, found str '1x'"),
        ({"name": "x", "many": [{"number": 1}, {}]}, r"\$\.many\[1\]\.number: missing"),
        ({"name": "x", "table": []}, r"\$\.table: expected an object"),
        ({"name": "x", "table": {"k": {"number": {}}}}, r"\$\.table\.k\.number: expected int, found an object"),
        ({"name": "x", "nothing": 1}, r"\$\.nothing: expected NoneType"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, place: str) -> None:
    """A value of another shape is refused, and the message starts with its place."""
    with pytest.raises(CodecError, match=f"^{place}"):
        decode(Outer, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """Numbers that are not finite and foreign objects never reach a file."""
    with pytest.raises(CodecError, match="cannot be written as JSON"):
        encode([value])


def test_arrays_are_written_as_numbers() -> None:
    """Columns of numbers are sequences like others."""
    assert encode({"ids": array("i", [1, 2])}) == {"ids": [1, 2]}


def test_text_that_no_encoding_holds_can_be_written() -> None:
    """The message of an error about a file whose name is not UTF-8 survives its way through a file."""
    line = to_line({"message": "no such file: \udcff.gguf"})
    assert from_line(line.encode("utf-8").decode()) == {"message": "no such file: \udcff.gguf"}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nul", "1" * 5000])
def test_text_that_is_not_json_is_a_codec_error(text: str) -> None:
    """Whatever a line holds, reading it raises one kind of error."""
    with pytest.raises(CodecError, match="not a JSON line"):
        from_line(text)
