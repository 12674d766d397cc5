"""Dataclasses to JSON values and back, by their type hints.

``encode`` and ``decode`` are inverse for frozen dataclasses made of scalars, ``None``, tuples, string-keyed mappings,
literals, unions and other such dataclasses. Unknown keys are ignored, so that a reader accepts what a newer minor version
added; a missing key takes the field's default; anything else is a ``CodecError`` that names the place. Neither takes a
number that is not finite.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

# A JSON value. Recursive aliases need a checker-only form on Python 3.10, hence ``Any`` at the leaves of containers.
JsonValue = bool | int | float | str | Sequence[Any] | Mapping[str, Any] | None

T = TypeVar("T")


class CodecError(ValueError):
    """A JSON value does not fit the type it should become. The message starts with the path to the place."""


def encode(value: Any) -> Any:
    """The JSON value of a dataclass (or of a value that a field of one may hold). Infinities and NaN are refused."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, float) and not math.isfinite(value):
        raise CodecError(f"{value} cannot be written as JSON")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [encode(item) for item in value]
    raise CodecError(f"a {type(value).__name__} cannot be written as JSON")


def to_line(value: Any) -> str:
    """One JSON line, newline included. It is ASCII: text that no encoding can hold (a broken file name) stays writable."""
    return json.dumps(encode(value), separators=(",", ":"), allow_nan=False) + "\n"


def from_line(line: str) -> Any:
    """The JSON value of a text. Raises ``CodecError`` for whatever is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not a JSON line: {line[:80]!r}") from error


def decode(cls: type[T], value: Any, path: str = "$") -> T:
    """The dataclass ``cls`` from a JSON value. Raises ``CodecError``."""
    result = _decode(cls, value, path)
    assert isinstance(result, cls)
    return result


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _decode(hint: Any, value: Any, path: str) -> Any:
    if hint is Any or hint is JsonValue:
        return value
    origin = get_origin(hint)
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise CodecError(f"{path}: {value!r} is not one of {', '.join(map(repr, get_args(hint)))}")
    if origin is Union or origin is types.UnionType:
        return _decode_union(get_args(hint), value, path)
    if origin is tuple:
        return _decode_tuple(get_args(hint), value, path)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise CodecError(f"{path}: expected an object, found {_kind(value)}")
        item_hint = get_args(hint)[1]
        return {key: _decode(item_hint, item, f"{path}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _decode_dataclass(hint, value, path)
    return _decode_scalar(hint, value, path)


def _decode_union(members: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in members:
        return None
    candidates = [member for member in members if member is not type(None)]
    errors = []
    for member in candidates:
        try:
            return _decode(member, value, path)
        except CodecError as error:
            errors.append(str(error))
    raise CodecError(errors[0] if len(errors) == 1 else f"{path}: {_kind(value)} fits none of {candidates}")


def _decode_tuple(items: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise CodecError(f"{path}: expected an array, found {_kind(value)}")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    if len(items) != len(value):
        raise CodecError(f"{path}: expected {len(items)} items, found {len(value)}")
    return tuple(
        _decode(hint, item, f"{path}[{index}]") for index, (hint, item) in enumerate(zip(items, value, strict=True))
    )


def _decode_dataclass(cls: type, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise CodecError(f"{path}: expected an object, found {_kind(value)}")
    hints = _hints(cls)
    known: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name in value:
            known[field.name] = _decode(hints[field.name], value[field.name], f"{path}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise CodecError(f"{path}.{field.name}: missing")
    return cls(**known)


def _decode_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is type(None) and value is None:
        return None
    if hint is float and type(value) in (int, float):
        return _finite(value, path)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise CodecError(f"{path}: expected {getattr(hint, '__name__', hint)}, found {_kind(value)}")


def _finite(value: float, path: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CodecError(f"{path}: expected a finite number, found {number}")
    return number


def _kind(value: Any) -> str:
    return {type(None): "null", dict: "an object", list: "an array"}.get(
        type(value), f"{type(value).__name__} {value!r}"
    )
