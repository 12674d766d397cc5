"""From what a study holds fixed and what it varies to its experiments. Pure and deterministic; keeps the written order."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.experiment import ExperimentConfig, known_keys
from llenergymeasure.config.problems import Problem, dotted, problems_of
from llenergymeasure.config.yaml_strict import leaves
from llenergymeasure.errors import ConfigError

# More experiments than anybody runs; and values in all of them together, which bounds time and memory.
_MOST_POINTS = 100_000
_MOST_VALUES = 20_000_000


@dataclass(frozen=True, slots=True)
class Point:
    """One valid experiment of a study; ``varied`` holds what is its own, by dotted key."""

    config: ExperimentConfig
    varied: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A point that is not valid and will not run."""

    varied: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """The points of a study; how many were merged because they were equal; keys that no experiment takes."""

    points: tuple[Point, ...]
    skipped: tuple[Skipped, ...]
    merged: int
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    first_problems: tuple[Problem, ...] = ()


def expand(
    fixed: Mapping[str, Any],
    backends: Sequence[str],
    sweep: Mapping[str, Sequence[Any]],
    explicit: Sequence[Mapping[str, Any]],
    ready: Sequence[ExperimentConfig] = (),
) -> Expansion:
    """Each backend's product of the universal and its own swept keys over the fixed part, then the explicit experiments.

    Raises ``ConfigError`` for more points than can be worked with.
    """
    _check_size(fixed, backends, sweep, len(explicit))
    unknown = tuple(_unknown(fixed, backends, sweep))
    if unknown:
        return Expansion((), (), 0, unknown)
    points = {json.dumps(config.written(), sort_keys=True): Point(config, {}) for config in ready}
    skipped: list[Skipped] = []
    first: tuple[Problem, ...] = ()
    merged = len(ready) - len(points)
    for varied, data in itertools.chain(
        _grid(fixed, backends, sweep, bool(explicit or ready)), _listed(fixed, explicit)
    ):
        try:
            config = ExperimentConfig.model_validate(data)
        except ValidationError as error:
            problems = problems_of(error, known_keys())
            first = first or problems
            skipped.append(Skipped(varied, "; ".join(_reason(found) for found in problems)))
            continue
        key = json.dumps(config.written(), sort_keys=True)
        merged += key in points
        points.setdefault(key, Point(config, varied))
    return Expansion(tuple(points.values()), tuple(skipped), merged, first_problems=first)


def set_at(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested mappings, which are made where they are missing."""
    *parents, last = key.split(".")
    for name in parents:
        if not isinstance(data.get(name), dict):
            data[name] = {}
        data = data[name]
    data[last] = value


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``: mappings are merged key by key, anything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = deep_merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _grid(
    fixed: Mapping[str, Any], backends: Sequence[str], sweep: Mapping[str, Sequence[Any]], has_explicit: bool
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if not sweep and len(backends) < 2 and has_explicit:
        return
    each: Sequence[str | None] = backends or [None]
    for backend in each:
        keys = [key for key in sweep if _scope(key) in (None, backend)]
        for values in itertools.product(*(sweep[key] for key in keys)):
            varied: dict[str, Any] = {"backend": backend} if len(backends) > 1 else {}
            varied |= dict(zip(keys, values, strict=True))
            data = _of_backend(fixed, backend, backends)
            for key, value in zip(keys, values, strict=True):
                set_at(data, key, value)
            yield varied, data


def _listed(
    fixed: Mapping[str, Any], explicit: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for entry in explicit:
        backend = entry.get("backend")
        yield _flat(entry), deep_merge(_of_backend(fixed, backend, [backend] if backend else []), entry)


def _of_backend(fixed: Mapping[str, Any], backend: str | None, backends: Sequence[str]) -> dict[str, Any]:
    """The fixed part for one backend: the sections of the study's other backends are left out."""
    data = copy.deepcopy(dict(fixed))
    if backend is None:
        return data
    for name in list(data):
        if name != backend and name not in ExperimentConfig.model_fields and plugins.is_known("backends", name):
            del data[name]
    return {**data, "backend": backend}


def _check_size(
    fixed: Mapping[str, Any], backends: Sequence[str], sweep: Mapping[str, Sequence[Any]], explicit: int
) -> None:
    each: Sequence[str | None] = backends or [None]
    sizes = [[len(values) for key, values in sweep.items() if _scope(key) in (None, backend)] for backend in each]
    count = explicit + sum(math.prod(grid) for grid in sizes)
    if count > _MOST_POINTS or count * sum(1 for _ in leaves(fixed)) > _MOST_VALUES:
        raise ConfigError(f"{count:,} experiments are too many", hint="vary fewer keys, or make several studies of it")


def _scope(key: str) -> str | None:
    """The backend that a swept key belongs to; ``None`` for a universal one."""
    first = key.partition(".")[0]
    return None if first in ExperimentConfig.model_fields or not plugins.is_known("backends", first) else first


def _unknown(
    fixed: Mapping[str, Any], backends: Sequence[str], sweep: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Swept keys that no experiment of this study has."""
    shared = known_keys()
    for key in sweep:
        first, dot, rest = key.partition(".")
        scope = _scope(key)
        if scope is not None:
            if backends and scope not in backends:
                yield key, tuple(f"{name}.{rest}" for name in backends)
            elif not rest or rest.partition(".")[0] not in backend_section.option_names(scope):
                yield key, tuple(f"{scope}.{name}" for name in backend_section.option_names(scope))
        elif first not in shared[()]:
            yield key, shared[()]
        elif dot and rest not in shared.get((first,), ()):
            yield key, tuple(f"{first}.{name}" for name in shared.get((first,), ())) or (first,)


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _reason(found: Problem) -> str:
    place = dotted(found.path)
    text = found.message if not place or repr(found.path[-1]) in found.message else f"{place}: {found.message}"
    return f"{text} ({found.hint})" if found.hint else text
