"""Flags over a file: a flag wins, and a flag on something that a study varies is an error."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.axes import Varying
from llenergymeasure.config.experiment import ExperimentConfig, known_keys
from llenergymeasure.config.nested import flat, overlap, set_at
from llenergymeasure.config.problems import Problem, config_error, did_you_mean, problems_of
from llenergymeasure.config.study import ExecutionConfig, StudyConfig, check_whole, study_of
from llenergymeasure.config.yaml_strict import DataPath, Document, scalar
from llenergymeasure.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Overrides:
    """What flags set: dotted keys of the experiment, execution fields, the backend, and the batch size of every engine."""

    keys: Mapping[str, Any]
    execution: Mapping[str, Any]
    backend: str | None
    batch_size: int | None

    @property
    def paths(self) -> tuple[DataPath, ...]:
        """Where flags put something: no line of a file is to blame for what stands there."""
        backend: list[DataPath] = [("backend",)] if self.backend is not None else []
        return (*backend, *(tuple(key.split(".")) for key in self.keys))

    @classmethod
    def of_flags(
        cls,
        sets: Sequence[str],
        *,
        backend: str | None,
        batch_size: int | None,
        shared: Mapping[str, Any],
        execution: Mapping[str, Any],
    ) -> Overrides:
        """From the flags given; ``None`` is not given. Raises ``ConfigError`` for a ``--set`` that is not KEY=VALUE."""
        keys = {key: value for key, value in shared.items() if value is not None}
        running = {key: value for key, value in execution.items() if value is not None}
        for text in sets:
            key, equals, value = text.partition("=")
            key = key.strip()
            if not equals or not key:
                raise ConfigError(f"--set {text}: is not KEY=VALUE", hint="for example --set decoder.max_new_tokens=64")
            if key.startswith("execution."):
                running[key.removeprefix("execution.")] = scalar(value)
            elif key == "backend":
                backend = value
            else:
                keys[key] = scalar(value)
        return cls(keys, running, backend, batch_size)

    def execution_over(self, execution: ExecutionConfig) -> ExecutionConfig:
        """Execution with the flags laid over it. Raises ``ConfigError``."""
        if not self.execution:
            return execution
        try:
            return ExecutionConfig.model_validate({**execution.model_dump(exclude_unset=True), **self.execution})
        except ValidationError as error:
            found = [Problem(("execution", *one.path), one.message, one.hint) for one in problems_of(error)]
            raise config_error(found, None, "flags") from error


def experiment_with(document: Document, overrides: Overrides) -> ExperimentConfig:
    """The experiment of a document (or of flags alone) with the flags laid over it. Raises ``ConfigError``."""
    data = copy.deepcopy(dict(document.data))
    if overrides.backend is not None:
        data["backend"] = overrides.backend
    _lay(data, overrides)
    if overrides.batch_size is not None:
        _set_batch_size(data, [data["backend"]] if data.get("backend") else plugins.names("backends"), overrides)
    try:
        return ExperimentConfig.model_validate(data)
    except ValidationError as error:
        raise config_error(problems_of(error, known_keys()), document, flags=overrides.paths) from error


def study_with(document: Document, overrides: Overrides) -> StudyConfig:
    """The study of a document with the flags laid over it. Raises ``ConfigError``."""
    study = study_of(document)
    if not overrides.paths and overrides.batch_size is None:
        # What there is to measure stays as it is, and is not worked out again.
        return study.model_copy(update={"execution": overrides.execution_over(study.execution)})
    backends = study.backends
    if overrides.backend is not None:
        if backends and overrides.backend not in backends:
            raise ConfigError(
                f"-b {overrides.backend}: the study has {', '.join(backends)}",
                hint=did_you_mean(overrides.backend, backends),
            )
        backends = (overrides.backend,)
    left_out = [name for name in study.backends if name not in backends]
    study = study.changed(
        backends=backends,
        **_of_varying(study.varying.without(left_out)),
        explicit=tuple(entry for entry in study.explicit if entry.get("backend") not in left_out),
    )
    _refuse_varied(study, overrides)
    fixed = copy.deepcopy(dict(study.fixed))
    _lay(fixed, overrides)
    if overrides.batch_size is not None:
        _set_batch_size(fixed, backends or plugins.names("backends"), overrides)
    study = study.changed(fixed=fixed, execution=overrides.execution_over(study.execution))
    check_whole(study, document, overrides.paths)
    return study


def _of_varying(varying: Varying) -> dict[str, Any]:
    return {"sweep": varying.sweep, "groups": varying.groups, "where": varying.where}


def _refuse_varied(study: StudyConfig, overrides: Overrides) -> None:
    """A flag on what the study varies would silently undo it. Raises ``ConfigError``."""
    flagged = list(overrides.keys)
    if overrides.batch_size is not None:
        flagged += map(_batch_key, _known(study.backends or plugins.names("backends")))
    varied = study.varying.keys
    swept = [key for key in flagged if any(overlap(key, one) for one in varied)]
    if swept:
        raise ConfigError(f"{', '.join(swept)}: the study sweeps this, a flag cannot set it", hint="edit the study")
    written = {one for entry in study.explicit for one, _ in flat(entry)}
    listed = [key for key in flagged if any(overlap(key, one) for one in written)]
    if listed:
        raise ConfigError(
            f"{', '.join(listed)}: an experiment of the study sets this, a flag cannot", hint="edit the study"
        )


def _lay(data: dict[str, Any], overrides: Overrides) -> None:
    for key, value in overrides.keys.items():
        set_at(data, key, value)


def _set_batch_size(data: dict[str, Any], backends: Sequence[str], overrides: Overrides) -> None:
    for name in _known(backends):
        set_at(data, _batch_key(name), overrides.batch_size)


def _known(backends: Sequence[Any]) -> list[str]:
    """What is wrong with the others is told where the experiment is checked."""
    return [name for name in backends if isinstance(name, str) and plugins.is_known("backends", name)]


def _batch_key(backend: str) -> str:
    return f"{backend}.{backend_section.spec_of(backend).concurrency_option}"
