"""The dotted keys of an experiment: which there are, whose they are, and what they hold."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable
from functools import cache
from typing import Any, Union

from pydantic import BaseModel

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.dataset import DatasetFile, Lengths, Lognormal, Normal, SyntheticOptions, Uniform
from llenergymeasure.config.experiment import ExperimentConfig, known_keys


def scope(key: str) -> str | None:
    """The backend that a dotted key belongs to; ``None`` for one that every backend has."""
    first = key.partition(".")[0]
    return None if first in ExperimentConfig.model_fields or not plugins.is_known("backends", first) else first


def unknown(key: str) -> tuple[str, ...] | None:
    """The keys that could be meant by a dotted key that no experiment has; ``None`` for one that there is."""
    *parents, last = key.split(".")
    backend = scope(key)
    if backend is not None:
        options = _options(backend)
        # What lies below an option is its own affair.
        return None if parents and (*parents, last)[1] in options else tuple(f"{backend}.{name}" for name in options)
    place: tuple[str, ...] = ()
    for name in (*parents, last):
        known = _below(place)
        if name not in known and parents and not place:
            scoped = [f"{one}.{option}" for one in plugins.built_in("backends") for option in _options(one)]
            return tuple(difflib.get_close_matches(key, scoped, n=1)) or known
        if name not in known:
            return tuple(".".join((*place, one)) for one in known) or (".".join(place),)
        place = (*place, name)
    return None


def is_section(key: str) -> bool:
    """Whether a dotted key holds further keys instead of a value."""
    return scope(key) == key or (key != "dataset" and bool(_below(tuple(key.split(".")))))


def whole_numbers(key: str) -> bool | None:
    """Whether a dotted key takes whole numbers only; ``None`` where that is not known."""
    backend = scope(key)
    *parents, last = key.split(".")
    if backend is not None:
        annotation = typing.get_type_hints(backend_section.spec_of(backend).options).get(last) if parents else None
    else:
        model = _models().get(tuple(parents))
        annotation = model.model_fields[last].annotation if model is not None and last in model.model_fields else None
    plain = set(_plain_types(annotation))
    return None if not plain & {int, float} else float not in plain


def _options(backend: str) -> tuple[str, ...]:
    return backend_section.option_names(backend)


@cache
def _models() -> dict[tuple[str, ...], type[BaseModel]]:
    models: dict[tuple[str, ...], type[BaseModel]] = {(): ExperimentConfig}
    for name, field in ExperimentConfig.model_fields.items():
        for kind in _plain_types(field.annotation):
            if issubclass(kind, BaseModel):
                models[(name,)] = kind
    models[("dataset",)] = DatasetFile
    models[("dataset", "synthetic")] = SyntheticOptions
    for lengths in ("input_len", "output_len"):
        models[("dataset", "synthetic", lengths)] = Lengths
        for name, shape in (("uniform", Uniform), ("normal", Normal), ("lognormal", Lognormal)):
            models[("dataset", "synthetic", lengths, name)] = shape
    return models


@cache
def _below(place: tuple[str, ...]) -> tuple[str, ...]:
    if not place:
        return known_keys()[()]
    model = _models().get(place)
    names = () if model is None else tuple(model.model_fields)
    return (*names, "synthetic") if place == ("dataset",) else names


def _plain_types(annotation: Any) -> Iterable[type]:
    """The types that an annotation is made of, without what constrains them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _plain_types(typing.get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _plain_types(part)
    elif isinstance(annotation, type):
        yield annotation
