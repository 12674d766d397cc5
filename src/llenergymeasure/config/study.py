"""``StudyConfig``: a set of experiments and how they are repeated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from llenergymeasure.config.expand import Expansion, Skipped, expand
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import is_hashed
from llenergymeasure.config.problems import Problem, config_error, did_you_mean, problems_of, short
from llenergymeasure.config.sections import Positive, PositiveSeconds, Seconds, Section
from llenergymeasure.config.yaml_strict import DataPath, Document, as_written, load_yaml
from llenergymeasure.errors import ConfigError

# Keys that make a file a study.
STUDY_KEYS = ("name", "base", "sweep", "groups", "where", "experiments", "execution")

_LATER = {
    "base": "base files are not available yet",
    "groups": "groups are not available yet",
    "where": "filters are not available yet",
}


class ExecutionConfig(Section):
    """How often, in which order, and when to stop."""

    n_cycles: Positive = Field(3, description="independent repetitions of each experiment")
    cycle_order: Literal["sequential", "interleaved", "shuffled"] = Field(
        "shuffled", description="shuffled: each cycle is a randomised complete block"
    )
    order_seed: int | None = Field(None, ge=0, description="not given: from the design; recorded")
    config_gap_seconds: Seconds = Field(0.0, description="pause between trials")
    cycle_gap_seconds: Seconds = Field(0.0, description="pause between cycles")
    max_consecutive_failures: Positive | None = Field(None, description="stop cleanly after so many")
    trial_timeout_seconds: PositiveSeconds | None = Field(None, description="limit of a trial after loading")
    max_seconds: PositiveSeconds | None = Field(None, description="time budget of the study")


class StudyConfig(Section):
    """A study as written: what its experiments share, what varies, and how it is run.

    ``fixed`` is the shared part of every experiment, ``sweep`` maps dotted keys to the values they take, ``explicit`` holds
    experiments added one by one over the fixed part, ``ready`` experiments that stand for themselves. ``experiments`` and
    ``skipped`` are what these come to.
    """

    name: str = Field(min_length=1)
    backends: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = Field(default_factory=dict)
    sweep: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    explicit: tuple[Mapping[str, Any], ...] = ()
    ready: tuple[ExperimentConfig, ...] = ()
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)

    @cached_property
    def expansion(self) -> Expansion:
        """The points of this study. Raises ``ConfigError`` for a sweep that makes no sense."""
        return expand(self.fixed, self.backends, self.sweep, self.explicit, self.ready)

    @property
    def experiments(self) -> tuple[ExperimentConfig, ...]:
        """The valid, distinct experiments in the order in which they are written."""
        return tuple(point.config for point in self.expansion.points)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The points that are not valid, each with its reason."""
        return self.expansion.skipped

    def changed(self, **fields: Any) -> StudyConfig:
        """This study with other fields, expanded anew: pydantic's own copy would take the old expansion along."""
        return StudyConfig(**{name: getattr(self, name) for name in StudyConfig.model_fields} | fields)

    @classmethod
    def from_yaml(cls, path: str | Path) -> StudyConfig:
        """The study in a YAML file. Raises ``ConfigError`` with file and line."""
        return study_of(load_yaml(Path(path)))


def is_study(data: Mapping[str, Any]) -> bool:
    """Whether a file is a study: it has a key that only studies have, or a list of backends."""
    return any(key in data for key in STUDY_KEYS) or isinstance(data.get("backend"), list)


def study_of(document: Document) -> StudyConfig:
    """The study in a document. Raises ``ConfigError`` for everything that is wrong with it at once."""
    data = dict(document.data)
    wrong = [
        Problem((key,), f"{key!r} is not known to this version: {_LATER[key]}", "remove it")
        for key in _LATER
        if key in data
    ]
    fixed = {key: value for key, value in data.items() if key not in (*STUDY_KEYS, "backend")}
    backends, problems = _backends(data.get("backend"))
    wrong += problems
    sweep, problems = _sweep(data.get("sweep"))
    wrong += problems
    explicit = [] if data.get("experiments") is None else data["experiments"]
    if not isinstance(explicit, list) or not all(isinstance(entry, Mapping) for entry in explicit):
        wrong.append(Problem(("experiments",), "experiments should be a list of mappings", "write - {n: 5}"))
        explicit = []
    wrong += _held_fixed(sweep, explicit)
    execution = ExecutionConfig()
    try:
        execution = ExecutionConfig.model_validate({} if data.get("execution") is None else data["execution"])
    except ValidationError as error:
        known: dict[DataPath, tuple[str, ...]] = {(): tuple(ExecutionConfig.model_fields)}
        wrong += [Problem(("execution", *found.path), found.message, found.hint) for found in problems_of(error, known)]
    name = as_written(data.get("name", document.path.stem))
    if not isinstance(name, str) or not name:
        wrong.append(Problem(("name",), f"name should be text, found {short(name)}"))
    if wrong:
        raise config_error(wrong, document)
    study = StudyConfig(
        name=name, backends=backends, fixed=fixed, sweep=sweep, explicit=tuple(explicit), execution=execution
    )
    check_whole(study, document)
    return study


def _backends(value: Any) -> tuple[tuple[str, ...], list[Problem]]:
    names = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(name, str) for name in names):
        return (), [Problem(("backend",), f"backend should be a name or a list of names, found {short(value)}")]
    if len(set(names)) != len(names):
        return (), [Problem(("backend",), "a backend is listed twice", "list each once")]
    return tuple(names), []


def _sweep(value: Any) -> tuple[dict[str, tuple[Any, ...]], list[Problem]]:
    if value is None:
        return {}, []
    if not isinstance(value, Mapping):
        return {}, [Problem(("sweep",), "sweep should map keys to lists of values", "write n: [10, 20]")]
    wrong = [
        Problem(("sweep", key), f"a sweep needs a list of values, found {short(values)}", "write [a, b, …]")
        for key, values in value.items()
        if not isinstance(values, list) or not values
    ]
    return {key: tuple(values) for key, values in value.items() if isinstance(values, list)}, wrong


def _held_fixed(sweep: Mapping[str, Any], explicit: list[Any]) -> list[Problem]:
    """How a measurement is made is the same for all of a study: experiments that differ in nothing else are one."""
    places: list[DataPath] = [("sweep", key) for key in sweep]
    places += [("experiments", index, key) for index, entry in enumerate(explicit) for key in entry if key != "warmup"]
    return [
        Problem(place, f"{place[-1]!r} is the same for the whole study", "write it once, beside sweep")
        for place in places
        if not is_hashed(str(place[-1]))
    ]


def check_whole(study: StudyConfig, document: Document, flags: Collection[DataPath] = ()) -> None:
    """A study whose every point is broken by one mistake says so with the place of the mistake. Raises ``ConfigError``."""
    try:
        expansion = study.expansion
    except ConfigError as error:
        raise config_error([Problem(("sweep",), str(error), error.hint)], document) from error
    if expansion.unknown:
        wrong = [
            Problem(("sweep", key) if key in study.sweep else (key,), f"unknown key {key!r}", did_you_mean(key, known))
            for key, known in expansion.unknown
        ]
        raise config_error(wrong, document)
    if not expansion.points and expansion.first_problems:
        raise config_error(
            [_placed(found, study, document) for found in expansion.first_problems], document, flags=flags
        )


def _placed(found: Problem, study: StudyConfig, document: Document) -> Problem:
    """A problem of a point where its value is written: in the fixed part, in the sweep, or in an explicit experiment."""
    if found.path in document.lines:
        return found
    for length in range(len(found.path), 0, -1):
        key = ".".join(map(str, found.path[:length]))
        if key in study.sweep:
            return Problem(
                ("sweep", key), found.message if found.path[length:] else f"{key}: {found.message}", found.hint
            )
    if study.explicit and not study.sweep and document.line_of(found.path) is None:
        return Problem(("experiments", 0, *found.path), found.message, found.hint)
    return found
