"""The user's own configuration: how and where to run on this machine. It never changes what is measured."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from llenergymeasure import plugins
from llenergymeasure.config.place import user_config_path
from llenergymeasure.config.problems import config_error, did_you_mean, problem, problems_of, short
from llenergymeasure.config.sections import Seconds, Section, Text
from llenergymeasure.config.yaml_strict import DataPath, load_yaml


class OutputSettings(Section):
    """Where results and models go."""

    results_dir: Text = Field("./results", description="where studies are written")
    model_cache_dir: Text | None = Field(None, description="the hub's cache (HF_HOME) for workers")


class MeasurementSettings(Section):
    """Facts about this place that energy figures need."""

    energy_source: str = Field("auto", description="auto, none, or the name of an energy source")
    region: str | None = Field(None, pattern="^[A-Z]{2,3}(-[A-Z0-9]{1,3})?$", description="ISO code of the grid")
    carbon_intensity_gco2_kwh: Annotated[float, Field(ge=0)] | None = Field(None, description="grams of CO2e a kWh")
    datacenter_pue: float = Field(1.0, ge=1, description="facility energy over the energy of its computers")
    electricity_price_per_kwh: Annotated[float, Field(ge=0)] | None = Field(None, description="price of a kWh")
    currency: str | None = Field(None, description="currency of the price")


class ExecutionSettings(Section):
    """Pauses between trials, where a study gives none."""

    config_gap_seconds: Seconds = Field(0.0, description="pause between trials")
    cycle_gap_seconds: Seconds = Field(0.0, description="pause between cycles")


class NotificationSettings(Section):
    """Who is told how a study ended."""

    webhook_url: str | None = Field(None, pattern="^https?://", description="gets a JSON document by POST")
    on_complete: bool = Field(True, description="tell when everything ran")
    on_failure: bool = Field(True, description="tell when a trial failed or the study was stopped")


class UiSettings(Section):
    """What is printed."""

    verbosity: Literal["quiet", "normal", "verbose"] = Field("normal", description="how much is printed")


class AdvancedSettings(Section):
    """What most people never touch."""

    sampling_hz: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        None, description="upper bound for the meter's rates"
    )
    silence_seconds: Mapping[Literal["load", "warmup", "window", "close"], Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="give a worker up after so long without a sign of life, by phase"
    )


class EnvironmentSettings(Section):
    """Where the code of one backend lives: a version of an engine, by a name that studies can use."""

    backend: Text = Field(description="the inference engine")
    at: Text = Field(description="local, or venv:PATH")


class UserConfig(Section):
    """The file ``config.yaml`` in the user's configuration folder."""

    output: OutputSettings = Field(default_factory=OutputSettings)
    environments: Mapping[str, EnvironmentSettings] = Field(
        default_factory=dict, description="named places: {backend, at}, which experiments name as `environment`"
    )
    runners: Mapping[str, str] = Field(
        default_factory=dict, description="backend to where it runs: an environment's name, local, or venv:PATH"
    )
    measurement: MeasurementSettings = Field(default_factory=MeasurementSettings)
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings)
    notifications: NotificationSettings = Field(default_factory=NotificationSettings)
    ui: UiSettings = Field(default_factory=UiSettings)
    advanced: AdvancedSettings = Field(default_factory=AdvancedSettings)

    @model_validator(mode="after")
    def _places_are_known(self) -> UserConfig:
        """Refuse a backend or a place that nobody knows: it would never be looked at."""
        wrong = [found for name, one in self.environments.items() for found in _wrong_environment(name, one)]
        for backend, at in self.runners.items():
            wrong += _wrong_backend(("runners", backend), backend)
            named = self.environments.get(at)
            if named is None:
                wrong += _wrong_place(("runners", backend), at, self.environments)
            elif named.backend != backend:
                wrong.append(
                    problem(("runners", backend), at, f"environment {at!r} holds {named.backend}", "name another one")
                )
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self


def _wrong_environment(name: str, one: EnvironmentSettings) -> list[InitErrorDetails]:
    wrong = _wrong_backend(("environments", name, "backend"), one.backend)
    if plugins.is_known("runners", name.partition(":")[0]):
        wrong.append(
            problem(("environments", name), name, f"{name!r} is a kind of place already", "choose another name")
        )
    return wrong + _wrong_place(("environments", name, "at"), one.at, ())


def _wrong_backend(path: DataPath, name: str) -> list[InitErrorDetails]:
    if plugins.is_known("backends", name):
        return []
    return [problem(path, name, f"{name!r} is not a backend", did_you_mean(name, plugins.names("backends")))]


def _wrong_place(path: DataPath, at: str, environments: Iterable[str]) -> list[InitErrorDetails]:
    if plugins.is_known("runners", at.partition(":")[0]):
        return []
    hint = did_you_mean(at, tuple(environments)) or "write local, or venv:PATH of an environment"
    return [problem(path, at, f"{short(at)} is not a place to run", hint)]


def load_user_config(path: Path | None = None) -> UserConfig:
    """The user's configuration, or the defaults when there is no file. Raises ``ConfigError`` with position."""
    path = path or user_config_path()
    if not os.path.lexists(path):
        return UserConfig()
    document = load_yaml(path, may_be_empty=True)
    try:
        return UserConfig.model_validate(document.data)
    except ValidationError as error:
        known: dict[DataPath, tuple[str, ...]] = {(): tuple(UserConfig.model_fields)}
        known |= {(name,): tuple(_fields_of(name)) for name in UserConfig.model_fields}
        raise config_error(problems_of(error, known), document) from error


def _fields_of(section: str) -> tuple[str, ...]:
    annotation = UserConfig.model_fields[section].annotation
    return tuple(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, Section) else ()
