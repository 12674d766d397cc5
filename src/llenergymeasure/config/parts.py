"""The fields of an experiment each by itself: what a grid repeats a thousand times is looked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import InitErrorDetails

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.experiment import ExperimentConfig, cross_checks, known_keys
from llenergymeasure.config.hashing import part_text
from llenergymeasure.config.problems import Problem, problems_of
from llenergymeasure.config.sections import DecoderConfig, LoraConfig, WarmupConfig, WindowConfig


@dataclass(frozen=True, slots=True)
class Part:
    """One top-level field or backend section: its value, what it gives to the hash, and what is wrong with it."""

    value: Any
    text: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """The parts that are checked against each other (``supports.Combined``)."""

    backend: str | None
    weights: str
    device: str
    precision: str | None
    decoder: DecoderConfig
    lora: LoraConfig | None
    cold_start: bool
    warmup: WarmupConfig
    window: WindowConfig
    sections: Mapping[str, Any]


# The names of these parts; beside them every backend section.
TOGETHER = tuple(name for name in Together.__dataclass_fields__ if name != "sections")


def part_of(name: str, data: Mapping[str, Any]) -> Part:
    """The part of that name in an experiment's data, which may not hold it; as ``ExperimentConfig`` would take it."""
    if name in ExperimentConfig.model_fields:
        return _field(name, data)
    if name in data and not plugins.is_known("backends", name):
        return Part(None, "", _problems_of_whole({"model": "m", name: data[name]}))
    if name not in data:
        return Part(None, "", ())
    options, problems = backend_section.validated(name, data[name])
    if problems:
        return Part(options, "", told(problems))
    return Part(options, part_text(name, backend_section.written(options)), ())


def problems_together(parts: Mapping[str, Any], sections: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What is wrong with parts that are right each by itself."""
    wrong = list(cross_checks(Together(**parts, sections=sections)))
    return told(wrong) if wrong else ()


def told(problems: list[InitErrorDetails]) -> tuple[Problem, ...]:
    """Problems as pydantic would report them for the whole experiment."""
    return problems_of(ValidationError.from_exception_data(ExperimentConfig.__name__, problems), known_keys())


def _field(name: str, data: Mapping[str, Any]) -> Part:
    field = ExperimentConfig.model_fields[name]
    if name not in data and not field.is_required():
        return Part(field.get_default(call_default_factory=True), "", ())
    given = {name: data[name]} if name in data else {}
    try:
        whole = _alone(name).model_validate(given)
    except ValidationError as error:
        return Part(None, "", problems_of(error, known_keys()))
    written = whole.model_dump(mode="json", exclude_defaults=True)
    return Part(getattr(whole, name), part_text(name, written[name]) if name in written else "", ())


def _problems_of_whole(data: Mapping[str, Any]) -> tuple[Problem, ...]:
    try:
        ExperimentConfig.model_validate(data)
    except ValidationError as error:
        return problems_of(error, known_keys())
    return ()


@cache
def _alone(name: str) -> type[BaseModel]:
    """A model with one field of the experiment's, validated and written as there."""
    field = ExperimentConfig.model_fields[name]
    config = ConfigDict(frozen=True, allow_inf_nan=False, protected_namespaces=())
    fields: dict[str, Any] = {name: (field.annotation, field)}
    return create_model(f"Only_{name}", __config__=config, **fields)
