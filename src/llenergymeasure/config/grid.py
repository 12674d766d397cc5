"""A grid: one backend's product of everything that varies over what is fixed. Positions count in the written order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from llenergymeasure.config import backend_section
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import hash_of_parts
from llenergymeasure.config.nested import copied, with_set
from llenergymeasure.config.parts import TOGETHER, Part, part_of, problems_together
from llenergymeasure.config.problems import Problem
from llenergymeasure.config.where import Filter

# The keys that one choice on an axis sets.
Choice = Mapping[str, Any]

# (measurement_config_hash, environment): what tells experiments of one study apart.
Identity = tuple[str, str | None]

# What becomes of a point: an experiment, not valid, or left out by a filter.
Verdict = Identity | list[Problem] | Filter

# Parts that are kept while a grid is walked; more are made again, which costs time and no memory.
_MOST_KEPT = 10_000
_ABSENT = object()


@dataclass(frozen=True)
class Grid:
    """``fixed`` is for this backend alone, which is written in; ``named``: the backend is part of what varies.

    A point that a filter leaves out is not looked at any further.
    """

    backend: str | None
    fixed: Mapping[str, Any]
    axes: tuple[Sequence[Choice], ...]
    filters: Sequence[Filter] = ()
    named: bool = False

    def __len__(self) -> int:
        return math.prod(map(len, self.axes))

    def varied(self, position: int) -> dict[str, Any]:
        """What is this point's own, by dotted key. Nothing in it is shared with another point."""
        own = {"backend": self.backend} if self.named else {}
        for axis, place in zip(self.axes, self._places(position), strict=True):
            own |= copied(axis[place])
        return own

    def config(self, position: int) -> ExperimentConfig:
        """A valid point as an experiment. Nothing in it that can be changed is shared with another point."""
        return self._walk.config(self._places(position))

    def verdicts(self) -> Iterator[Verdict]:
        """What becomes of each point, in order."""
        return self._walk.verdicts()

    def _places(self, position: int) -> tuple[int, ...]:
        """Which choice of each axis makes the point."""
        places = []
        for axis in reversed(self.axes):
            position, place = divmod(position, len(axis))
            places.append(place)
        return tuple(reversed(places))

    @cached_property
    def _walk(self) -> _Walk:
        return _Walk(self)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The top-level names of any point: the shared fields, then sections and unknown keys as written."""
        first = dict.fromkeys(key.partition(".")[0] for axis in self.axes for choice in axis for key in choice)
        return tuple(dict.fromkeys((*ExperimentConfig.model_fields, *self.fixed, *first)))

    def axes_of(self, name: str) -> tuple[int, ...]:
        """The axes that set something in the part of that name."""
        return tuple(
            place
            for place, axis in enumerate(self.axes)
            if any(key.partition(".")[0] == name for choice in axis for key in choice)
        )


class _Memory:
    """Something that depends on some axes only: computed once for each of their combinations."""

    def __init__(self, axes: tuple[int, ...], compute: Callable[[tuple[int, ...]], Any]) -> None:
        self._pick = itemgetter(*axes) if axes else lambda places: None
        self._compute = compute
        self._known: dict[Any, Any] = {}

    def at(self, places: tuple[int, ...]) -> Any:
        key = self._pick(places)
        found = self._known.get(key, _ABSENT)
        if found is _ABSENT:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            found = self._known[key] = self._compute(places)
        return found


class _Walk:
    """The points of a grid, put together from their parts."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        varying = {name: axes for name in grid.names if (axes := grid.axes_of(name))}
        self._fixed = {name: self._part(name, ()) for name in grid.names if name not in varying}
        self._sections = [name for name in grid.names if name not in ExperimentConfig.model_fields]
        self._memories = {name: _Memory(axes, _partly(self._part, name)) for name, axes in varying.items()}
        together = {axis for name in grid.names if _is_together(name) for axis in varying.get(name, ())}
        self._together = _Memory(tuple(sorted(together)), self._problems_together)
        self._filters = [
            (one, _Memory(tuple(sorted({axis for name in _parts_read(one) for axis in varying.get(name, ())})), judge))
            for one in grid.filters
            if (judge := self._judge_of(one)) is not None
        ]

    def verdicts(self) -> Iterator[Verdict]:
        fixed_problems = [name for name, part in self._fixed.items() if part.problems]
        order = sorted(self._grid.names)
        texts = [self._fixed[name].text if name in self._fixed else "" for name in order]
        varying = [(order.index(name), memory) for name, memory in self._memories.items()]
        environment = self._memories.get("environment")
        written_environment = None if environment else self._fixed["environment"].value
        for places in itertools.product(*(range(len(axis)) for axis in self._grid.axes)):
            left_out = next((one for one, memory in self._filters if not memory.at(places)), None)
            if left_out is not None:
                yield left_out
                continue
            wrong = bool(fixed_problems)
            for slot, memory in varying:
                part = memory.at(places)
                texts[slot] = part.text
                wrong = wrong or bool(part.problems)
            if wrong:
                yield [problem for name in self._grid.names for problem in self._at(name, places).problems]
                continue
            against = self._together.at(places)
            if against:
                yield list(against)
                continue
            where = environment.at(places).value if environment else written_environment
            yield hash_of_parts(texts), where

    def config(self, places: tuple[int, ...]) -> ExperimentConfig:
        """A valid point. Its fields do not change and are those of its parts; the options of an engine may, and are made anew."""
        own = {name: memory.at(places).value for name, memory in self._memories.items() if name not in self._sections}
        for name in self._sections:
            data = self._data(name, places)
            if name in data:
                own[name], _ = backend_section.validated(name, copied(data[name]))
        return self._common.model_copy(update=own)

    @cached_property
    def _common(self) -> ExperimentConfig:
        """The fields that are the same in every valid point."""
        fields = {name: part.value for name, part in self._fixed.items() if name not in self._sections}
        return ExperimentConfig.model_construct(**fields)

    def _at(self, name: str, places: tuple[int, ...]) -> Part:
        found = self._fixed.get(name)
        part: Part = self._memories[name].at(places) if found is None else found
        return part

    def _part(self, name: str, places: tuple[int, ...]) -> Part:
        return part_of(name, self._data(name, places))

    def _data(self, name: str, places: tuple[int, ...]) -> dict[str, Any]:
        """What a point's data hold of one part."""
        fixed = self._grid.fixed
        data: dict[str, Any] = {name: fixed[name]} if name in fixed else {}
        for axis, place in zip(self._grid.axes, places, strict=False):
            for key, value in axis[place].items():
                path = tuple(key.split("."))
                if path[0] == name:
                    data = with_set(data, path, value)
        return data

    def _problems_together(self, places: tuple[int, ...]) -> tuple[Problem, ...]:
        parts = {name: self._at(name, places).value for name in TOGETHER}
        sections = {name: value for name in self._sections if (value := self._at(name, places).value) is not None}
        return problems_together(parts, sections)

    def _judge_of(self, one: Filter) -> Callable[[tuple[int, ...]], bool] | None:
        """Whether a filter keeps a point; ``None`` for one that is about other backends."""
        if any(name not in (*ExperimentConfig.model_fields, self._grid.backend) for name in _parts_read(one)):
            return None

        def keeps(places: tuple[int, ...]) -> bool:
            values = [self._value(key, places) for key in one.fields]
            return any(value is None for value in values) or one.keeps(values)

        return keeps

    def _value(self, key: str, places: tuple[int, ...]) -> Any:
        """The value of a field, its default where none is written; ``None`` where the point has none."""
        name, *below = key.split(".")
        if name in self._grid.names and self._at(name, places).problems:
            return None
        value = self._at(name, places).value if name in self._grid.names else None
        if value is None and name == self._grid.backend:
            value = backend_section.spec_of(name).options()
        for step in below:
            value = value.get(step) if isinstance(value, Mapping) else getattr(value, step, None)
        return value


def _is_together(name: str) -> bool:
    return name in TOGETHER or name not in ExperimentConfig.model_fields


def _parts_read(one: Filter) -> list[str]:
    return [key.partition(".")[0] for key in one.fields]


def _partly(make: Callable[[str, tuple[int, ...]], Part], name: str) -> Callable[[tuple[int, ...]], Part]:
    return lambda places: make(name, places)
