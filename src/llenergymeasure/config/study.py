"""``StudyConfig``: a set of experiments and how they are repeated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from llenergymeasure.config.axes import Varying, problems_with
from llenergymeasure.config.base import BaseFile, base_file, with_base
from llenergymeasure.config.expand import Expansion, Skipped, expand
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.grammar import read_backends, read_experiments, read_groups, read_sweep, read_where
from llenergymeasure.config.lazy import Lazy
from llenergymeasure.config.problems import Problem, config_error, problems_of, short
from llenergymeasure.config.sections import Positive, PositiveSeconds, Seconds, Section
from llenergymeasure.config.where import FilterError
from llenergymeasure.config.yaml_strict import DataPath, Document, as_written, load_yaml
from llenergymeasure.errors import ConfigError

T = TypeVar("T")

# Keys that make a file a study.
STUDY_KEYS = ("name", "base", "sweep", "groups", "where", "experiments", "execution")


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
    trial_timeout_seconds: PositiveSeconds | None = Field(
        None,
        description="limit of a trial after loading; not given: five times what an earlier one tells, at least 600",
    )
    max_seconds: PositiveSeconds | None = Field(None, description="time budget of the study")
    target_rel_ci: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="go on until the 95 % repeatability interval of each experiment is within this share of its value",
    )
    max_cycles: Positive = Field(20, description="with target_rel_ci: cycles at most")


class StudyConfig(Section):
    """A study as written: what its experiments share, what varies, and how it is run.

    ``fixed`` is the shared part of every experiment, ``sweep`` maps dotted keys to the values they take, ``groups`` holds fields
    that change together, ``where`` filters the points of these, ``explicit`` holds experiments added one by one over the fixed
    part, ``ready`` experiments that stand for themselves. ``base`` is the file that the fixed part began with. ``experiments``
    and ``skipped`` are what these come to; each experiment is built when it is asked for.
    """

    name: str = Field(min_length=1)
    backends: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = Field(default_factory=dict)
    sweep: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    groups: Mapping[str, tuple[Mapping[str, Any], ...]] = Field(default_factory=dict)
    where: tuple[str, ...] = ()
    explicit: tuple[Mapping[str, Any], ...] = ()
    ready: tuple[ExperimentConfig, ...] = ()
    execution: ExecutionConfig = Field(default_factory=ExecutionConfig)
    base: BaseFile | None = None

    @property
    def varying(self) -> Varying:
        """What varies over the fixed part."""
        return Varying(self.sweep, self.groups, self.where)

    @cached_property
    def expansion(self) -> Expansion:
        """The points of this study. Raises ``ConfigError`` for a sweep that makes no sense."""
        wrong = self.problems()
        if wrong:
            raise config_error(wrong, None, "study")
        return expand(self.fixed, self.backends, self.varying, self.explicit, self.ready)

    def problems(self) -> list[Problem]:
        """What is wrong with what varies, each at its place in a study file."""
        return problems_with(self.fixed, self.backends, self.varying, self.explicit)

    @property
    def experiments(self) -> Sequence[ExperimentConfig]:
        """The valid, distinct experiments in the order in which they are written."""
        points = self.expansion.points
        return Lazy(len(points), lambda index: points[index].config)

    @property
    def skipped(self) -> Sequence[Skipped]:
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
    document = with_base(document, STUDY_KEYS)
    data = dict(document.data)
    wrong: list[Problem] = []

    def read(part: tuple[T, list[Problem]]) -> T:
        wrong.extend(part[1])
        return part[0]

    fields = {
        "backends": read(read_backends(data.get("backend"))),
        "fixed": {key: value for key, value in data.items() if key not in (*STUDY_KEYS, "backend")},
        "sweep": read(read_sweep(data.get("sweep"))),
        "groups": read(read_groups(data.get("groups"))),
        "where": read(read_where(data.get("where"))),
        "explicit": read(read_experiments(data.get("experiments"))),
        "execution": read(_execution(data.get("execution"))),
        "name": read(_name(data.get("name", document.path.stem))),
        "base": base_file(document),
    }
    if wrong:
        raise config_error(wrong, document)
    study = StudyConfig(**fields)
    check_whole(study, document)
    return study


def check_whole(study: StudyConfig, document: Document, flags: Collection[DataPath] = ()) -> None:
    """A study whose every point is broken by one mistake says so with the place of the mistake. Raises ``ConfigError``."""
    document = with_base(document, STUDY_KEYS)
    wrong = study.problems()
    if wrong:
        raise config_error(wrong, document, flags=flags)
    try:
        expansion = study.expansion
    except FilterError as error:
        raise config_error([Problem(("where", error.index), str(error), error.hint)], document) from error
    except ConfigError as error:
        raise config_error([Problem(("sweep",), str(error), error.hint)], document) from error
    if expansion.points:
        return
    if expansion.first_problems:
        raise config_error(
            [_placed(found, study, document) for found in expansion.first_problems], document, flags=flags
        )
    if expansion.filtered:
        raise config_error([Problem(("where",), "the filters leave no experiment", "allow at least one")], document)


def _execution(value: Any) -> tuple[ExecutionConfig, list[Problem]]:
    try:
        return ExecutionConfig.model_validate({} if value is None else value), []
    except ValidationError as error:
        known: dict[DataPath, tuple[str, ...]] = {(): tuple(ExecutionConfig.model_fields)}
        found = [Problem(("execution", *one.path), one.message, one.hint) for one in problems_of(error, known)]
        return ExecutionConfig(), found


def _name(value: Any) -> tuple[str, list[Problem]]:
    name = as_written(value)
    if isinstance(name, str) and name:
        return name, []
    return "study", [Problem(("name",), f"name should be text, found {short(name)}")]


def _placed(found: Problem, study: StudyConfig, document: Document) -> Problem:
    """A problem of a point where its value is written: in the sweep or a group, in the fixed part, in an explicit experiment."""
    for length in range(len(found.path), 0, -1):
        key = ".".join(map(str, found.path[:length]))
        for place, varied, _ in study.varying.settings():
            if varied == key:
                message = found.message if found.path[length:] else f"{key}: {found.message}"
                return Problem(place, message, found.hint)
    if found.path in document.lines:
        return found
    if study.explicit and document.place_of(found.path)[1] is None:
        key = str(found.path[0]) if found.path else ""
        index = next((index for index, entry in enumerate(study.explicit) if key in entry), 0)
        return Problem(("experiments", index, *found.path), found.message, found.hint)
    return found
