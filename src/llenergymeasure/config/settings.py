"""The effective settings of this machine and where each came from: built-in, user config, variable, file, flag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from llenergymeasure.config.nested import set_at
from llenergymeasure.config.place import user_config_path
from llenergymeasure.config.problems import Problem, config_error, did_you_mean, problems_of
from llenergymeasure.config.user import UserConfig
from llenergymeasure.errors import ConfigError

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
class Place:
    """Where a backend's workers run; ``environment`` is its name where the experiment gives one."""

    backend: str
    at: str
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Effective values and, by dotted key, their origin (``built-in``, a file, a variable or ``flag``)."""

    values: UserConfig
    origins: Mapping[str, str]

    def place_of(self, backend: str, environment: str | None = None) -> Place:
        """Where a backend's workers run, in a named environment or where its runner is set to.

        Raises ``ConfigError`` for a name that the user's configuration does not have, or has for another backend.
        """
        known = self.values.environments
        if environment is None:
            at = self.values.runners.get(backend, "local")
            return Place(backend, known[at].at if at in known else at)
        if environment not in known:
            raise ConfigError(
                f"environment {environment!r} is not in {user_config_path()}",
                hint=did_you_mean(environment, known)
                or f"add there  environments: {{{environment}: {{backend: {backend}, at: 'venv:PATH'}}}}",
            )
        if known[environment].backend != backend:
            raise ConfigError(
                f"environment {environment!r} holds {known[environment].backend}, not {backend}",
                hint="name another environment, or that backend",
            )
        return Place(backend, known[environment].at, environment)

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
