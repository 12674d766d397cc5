"""The effective settings of this machine and where each came from: built-in, user config, variable, file, flag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llenergymeasure.config.expand import set_at
from llenergymeasure.config.problems import Problem, config_error, problems_of
from llenergymeasure.config.user import UserConfig, user_config_path

# Environment variables and the setting each one sets.
VARIABLES = {
    "LLEM_RESULTS_DIR": "output.results_dir",
    "LLEM_ENERGY_SOURCE": "measurement.energy_source",
    "LLEM_CARBON_INTENSITY": "measurement.carbon_intensity_gco2_kwh",
    "LLEM_REGION": "measurement.region",
    "LLEM_DATACENTER_PUE": "measurement.datacenter_pue",
    "LLEM_VERBOSITY": "ui.verbosity",
}
_RUNNER_VARIABLE = "LLEM_RUNNER_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Effective values and, by dotted key, their origin (``built-in``, a file, a variable or ``flag``)."""

    values: UserConfig
    origins: Mapping[str, str]

    def runner_of(self, backend: str) -> str:
        """Where a backend's workers run."""
        return self.values.runners.get(backend, "local")

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """(dotted key, value, origin) of every setting."""
        for key, value in _flat(self.values.model_dump(mode="json")):
            yield key, value, self.origins.get(key, "built-in")


def effective_settings(user: UserConfig, variables: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Lay variables over the user's configuration, and ``flags`` (dotted key to value) over both. Raises ``ConfigError``.

    What a variable holds is text, and means what the field takes.
    """
    data = user.model_dump(mode="json", exclude_unset=True)
    origins = {key: str(user_config_path()) for key, _ in _flat(data)}
    for variable, key, text in _set_variables(variables):
        set_at(data, key, text)
        origins[key] = variable
    for key, value in flags.items():
        set_at(data, key, value)
        origins[key] = "flag"
    try:
        return Settings(UserConfig.model_validate(data), origins)
    except ValidationError as error:
        raise config_error([_named(found, origins) for found in problems_of(error)], None, "settings") from error


def _set_variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for variable, key in VARIABLES.items():
        if variables.get(variable):
            yield variable, key, variables[variable]
    for variable, text in variables.items():
        if variable.startswith(_RUNNER_VARIABLE) and text:
            yield variable, f"runners.{variable.removeprefix(_RUNNER_VARIABLE).lower()}", text


def _named(found: Problem, origins: Mapping[str, str]) -> Problem:
    key = ".".join(map(str, found.path))
    origin = next((origin for name, origin in origins.items() if name == key or name.startswith(f"{key}.")), None)
    return found if origin is None else Problem(found.path, f"{found.message} (from {origin})", found.hint)


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
