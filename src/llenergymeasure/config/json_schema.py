"""JSON Schemas of the files that people write: for editors, forms and other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llenergymeasure import plugins
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.study import ExecutionConfig
from llenergymeasure.config.user import UserConfig

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def experiment_schema() -> dict[str, Any]:
    """The schema of an experiment file."""
    return {"$schema": _DIALECT, **ExperimentConfig.model_json_schema()}


def user_schema() -> dict[str, Any]:
    """The schema of the user's configuration."""
    return {"$schema": _DIALECT, **UserConfig.model_json_schema()}


def study_schema() -> dict[str, Any]:
    """The schema of a study file: an experiment's fields, none required, and what a study adds."""
    schema = experiment_schema()
    execution = ExecutionConfig.model_json_schema()
    schema["title"] = "StudyConfig"
    schema["description"] = "A set of experiments: what they share, what varies, and how they are repeated."
    schema.pop("required", None)
    schema["properties"] |= {
        "name": {"type": "string", "minLength": 1, "description": "not given: the file's name"},
        "backend": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "uniqueItems": True}],
            "description": f"one engine, or a list with a grid for each: {', '.join(plugins.built_in('backends'))}",
        },
        "base": {
            "type": "string",
            "minLength": 1,
            "description": "an experiment file that this study is laid over; its path from the folder of this file",
        },
        "sweep": {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, *_ranges()]},
            "description": "dotted keys and the values they take; a key that begins with a backend is that backend's own",
        },
        "groups": {
            "type": "object",
            "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "object"}},
            "description": "fields that change together: by name, a list of entries, each maps dotted keys to one value",
        },
        "where": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "filters that every point of a grid must meet: pytorch.batch_size * n <= 4096",
        },
        "experiments": {
            "type": "array",
            "items": {"type": "object"},
            "description": "experiments added one by one over the shared part",
        },
        "execution": execution,
    }
    return schema


def _ranges() -> Iterator[dict[str, Any]]:
    """One object for each kind of range."""
    number = {"type": "number"}
    count = {"type": "integer", "minimum": 1}
    for name, ends in (
        ("pow2", [number] * 2),
        ("linspace", [number, number, count]),
        ("logspace", [number, number, count]),
    ):
        values = {"type": "array", "prefixItems": ends, "minItems": len(ends), "maxItems": len(ends)}
        yield {"type": "object", "properties": {name: values}, "required": [name], "additionalProperties": False}
