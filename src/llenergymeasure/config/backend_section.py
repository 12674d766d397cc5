"""A backend's section: its own options, checked by the dataclass that its spec holds. One truth for engine and configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails

from llenergymeasure import plugins
from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.config.problems import did_you_mean, problem, relocated
from llenergymeasure.model.codec import encode

PASSTHROUGH = "passthrough_kwargs"


@cache
def spec_of(backend: str) -> BackendSpec:
    """The light spec of a backend. Raises ``LLEMError`` for a name that is not known, or a plug-in that does not load."""
    spec: BackendSpec = plugins.load("backends", backend).spec
    return spec


@cache
def option_names(backend: str) -> tuple[str, ...]:
    """The options that a backend declares."""
    return tuple(field.name for field in dataclasses.fields(spec_of(backend).options))


def validated(backend: str, value: Any) -> tuple[Any, list[InitErrorDetails]]:
    """(options object or ``None``, problems) of one section."""
    options = spec_of(backend).options
    if isinstance(value, options):
        return value, []
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        return None, [problem((backend,), value, f"section {backend!r} should be a mapping of options")]
    names = option_names(backend)
    wrong = [
        problem((backend, str(key)), value[key], f"unknown option {key!r} of {backend}", _hint(str(key), names))
        for key in value
        if key not in names
    ]
    wrong += _covered(backend, value.get(PASSTHROUGH), names)
    try:
        return _adapter(options).validate_python({key: value[key] for key in value if key in names}), wrong
    except ValidationError as error:
        return None, [*relocated(error, (backend,)), *wrong]


def written(options: Any) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {
        field.name: encode(getattr(options, field.name))
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != _default(field)
    }


def effective(options: Any) -> dict[str, Any]:
    """All options with a value; those left to the engine are not among them."""
    values = {field.name: encode(getattr(options, field.name)) for field in dataclasses.fields(options)}
    return {name: value for name, value in values.items() if value is not None and value != {}}


def json_schema(backend: str) -> dict[str, Any]:
    """The JSON Schema of a section."""
    options = spec_of(backend).options
    schema = _adapter(options).json_schema()
    schema["additionalProperties"] = False
    for field in dataclasses.fields(options):
        if "doc" in field.metadata:
            schema["properties"][field.name]["description"] = field.metadata["doc"]
    return schema


@cache
def _adapter(options: type) -> TypeAdapter[Any]:
    return TypeAdapter(options)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _hint(key: str, names: tuple[str, ...]) -> str:
    suggestion = did_you_mean(key, names)
    return suggestion if suggestion.startswith("did you") else f"the engine's own arguments go under {PASSTHROUGH}"


def _covered(backend: str, passed: Any, names: tuple[str, ...]) -> list[InitErrorDetails]:
    if not isinstance(passed, Mapping):
        return []
    return [
        problem((backend, PASSTHROUGH, key), passed[key], f"{key!r} is an option of its own", f"write {backend}.{key}")
        for key in passed
        if key in names
    ]
