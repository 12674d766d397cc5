from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llenergymeasure.model
from llenergymeasure.model.codec import JsonValue, decode, encode, to_line
from llenergymeasure.model.event import Event, Unreadable, event_line, parse_event
from llenergymeasure.model.gguf import GgufHeader
from llenergymeasure.model.reading import Reading, Readings, Readout
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.model.trace import Trace

# Kept in columns, or in memory alone: never JSON.
_NOT_JSON = {Reading, Readings, Readout, RequestRecord, Trace, GgufHeader}

_INTS = st.integers(-(2**63), 2**63 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _INTS | _FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: _INTS,
    float: _FLOATS,
    bool: st.booleans(),
    str: st.text(max_size=8),
    type(None): st.none(),
}


@cache
def _model_dataclasses() -> list[type]:
    modules = [
        importlib.import_module(f"llenergymeasure.model.{found.name}")
        for found in pkgutil.iter_modules(llenergymeasure.model.__path__)
    ]
    classes = [value for module in modules for value in vars(module).values() if dataclasses.is_dataclass(value)]
    own = {cls for cls in classes if cls.__module__.startswith("llenergymeasure.model.")}
    return sorted(own - _NOT_JSON, key=lambda cls: cls.__qualname__)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """All values that a field of this type may hold."""
    if hint == JsonValue:
        return _JSON
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, items = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(items)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_values, items))
    if origin is tuple and items[1:] == (Ellipsis,):
        return st.lists(_values(items[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, items))
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=5), _values(items[1]), max_size=2)
    assert dataclasses.is_dataclass(hint), hint
    return _instances(hint)


@cache
def _instances(cls: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(
        cls, **{field.name: st.deferred(lambda f=field: _values(hints[f.name])) for field in dataclasses.fields(cls)}
    )


@pytest.mark.parametrize("cls", _model_dataclasses(), ids=lambda cls: cls.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_round_trip(cls: type, data: st.DataObject) -> None:
    """Every dataclass of the model comes back from its JSON text as it was."""
    value = data.draw(_instances(cls))
    assert decode(cls, json.loads(to_line(value))) == value


@pytest.mark.parametrize("cls", [cls for cls in get_args(Event) if cls is not Unreadable], ids=lambda cls: cls.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_event_round_trip(cls: type, data: st.DataObject) -> None:
    """Every event comes back from its line, which holds no other newline and no letter beyond ASCII."""
    event = data.draw(_instances(cls))
    line = event_line(event)
    assert line.isascii() and line.index("\n") == len(line) - 1
    assert parse_event(line) == event


@given(data=st.data())
def test_unknown_keys_are_ignored(data: st.DataObject) -> None:
    """What a newer minor version added does not keep a reader from reading."""
    cls = data.draw(st.sampled_from(_model_dataclasses()))
    value = data.draw(_instances(cls))
    assert decode(cls, {**encode(value), "added by a newer version": [1, {"two": 3}]}) == value
