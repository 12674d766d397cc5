"""Where the points of a study come from, beside its grids: experiments as they are, and lists. Each numbers its points from 0."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from llenergymeasure import plugins
from llenergymeasure.config.experiment import ExperimentConfig, known_keys
from llenergymeasure.config.grid import Identity, Verdict
from llenergymeasure.config.hashing import hash_of_parts, part_text
from llenergymeasure.config.nested import deep_merge, flat
from llenergymeasure.config.problems import problems_of


class Source(Protocol):
    """A run of points, by position. ``grid.Grid`` is one."""

    def __len__(self) -> int: ...

    def varied(self, position: int) -> dict[str, Any]:
        """What is the point's own, by dotted key."""

    def config(self, position: int) -> ExperimentConfig:
        """The experiment, of a point that is valid."""

    def verdicts(self) -> Iterator[Verdict]:
        """What becomes of each point, in order."""


@dataclass(frozen=True)
class Ready:
    """Experiments that stand for themselves."""

    configs: Sequence[ExperimentConfig]

    def __len__(self) -> int:
        return len(self.configs)

    def varied(self, position: int) -> dict[str, Any]:
        return {}

    def config(self, position: int) -> ExperimentConfig:
        return self.configs[position]

    def verdicts(self) -> Iterator[Verdict]:
        return map(identity, self.configs)


@dataclass(frozen=True)
class Listed:
    """Explicit experiments, laid over the fixed part; ``backend`` is that of an entry that names none."""

    fixed: Mapping[str, Any]
    entries: Sequence[Mapping[str, Any]]
    backend: str | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def varied(self, position: int) -> dict[str, Any]:
        return dict(flat(copy.deepcopy(dict(self.entries[position]))))

    def config(self, position: int) -> ExperimentConfig:
        entry = copy.deepcopy(dict(self.entries[position]))
        below = copy.deepcopy(of_backend(self.fixed, entry.get("backend", self.backend)))
        return ExperimentConfig.model_validate(deep_merge(below, entry))

    def verdicts(self) -> Iterator[Verdict]:
        for position in range(len(self)):
            try:
                yield identity(self.config(position))
            except ValidationError as error:
                yield list(problems_of(error, known_keys()))


def identity(config: ExperimentConfig) -> Identity:
    """What tells a configuration apart from the others of its study; its backend and the hash of its data may still be open."""
    written = config.written()
    return hash_of_parts(part_text(key, written[key]) for key in sorted(written)), config.environment


def of_backend(fixed: Mapping[str, Any], backend: Any) -> dict[str, Any]:
    """The fixed part for one backend: the sections of the study's other backends are left out."""
    if backend is None:
        return dict(fixed)
    other = {
        name
        for name in fixed
        if name != backend and name not in ExperimentConfig.model_fields and plugins.is_known("backends", name)
    }
    return {key: value for key, value in fixed.items() if key not in other} | {"backend": backend}
