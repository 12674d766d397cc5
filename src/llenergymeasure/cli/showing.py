"""What ``llem config`` prints: what can run here, how energy will be measured, and which settings hold."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from llenergymeasure import plugins
from llenergymeasure.cli.exits import EXIT_FAILED
from llenergymeasure.cli.show import show
from llenergymeasure.config.place import user_config_path
from llenergymeasure.config.settings import Place, Settings
from llenergymeasure.errors import EnergyError
from llenergymeasure.machine.engines import probe_all
from llenergymeasure.machine.sensor_profiles import stored_profiles
from llenergymeasure.machine.snapshot import snapshot
from llenergymeasure.meter.here import source_verdicts
from llenergymeasure.model.event import Found, Missing
from llenergymeasure.model.machine import Machine
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import SourceVerdict
from llenergymeasure.study.options import settings_here


def show_config(*, verbose: bool, check: bool, as_json: bool) -> int:
    """Print it and return the exit status: 1 when ``check`` is asked for and something is wrong."""
    settings = settings_here({})
    machine = snapshot()
    defaults = [settings.place_of(name) for name in plugins.names("backends")]
    named = [settings.place_of(one.backend, name) for name, one in settings.values.environments.items()]
    engines = probe_all((*defaults, *named))
    sources, problem = _sources(settings)
    if as_json:
        show(json.dumps(_document(settings, machine, engines, sources, problem), indent=1))
    else:
        _print(settings, machine, engines, sources, problem, verbose)
    broken = problem or not any(isinstance(engine, Found) for engine in engines.values())
    return EXIT_FAILED if check and broken else 0


def _sources(settings: Settings) -> tuple[tuple[SourceVerdict, ...], str]:
    """Verdicts, and what is wrong with the source that the settings name."""
    try:
        return source_verdicts(tuple(settings.values.measurement.energy_source.split(","))), ""
    except EnergyError as error:
        return source_verdicts(), f"{error}" + (f" ({error.hint})" if error.hint else "")


def _print(
    settings: Settings,
    machine: Machine,
    engines: dict[Place, Found | Missing],
    sources: tuple[SourceVerdict, ...],
    problem: str,
    verbose: bool,
) -> None:
    memory = machine.memory_bytes / 2**30
    show(f"Machine  {machine.cpu_model}, {machine.visible_cpus} CPUs, {memory:.0f} GiB, {machine.os} {machine.kernel}")
    show("Engines")
    for place, engine in engines.items():
        name = place.environment or place.backend
        if isinstance(engine, Found):
            where = "" if place.at == "local" else f", in {place.at}"
            show(f"  ✓ {name:<10} {engine.engine} {engine.version} on {', '.join(engine.devices)}{where}")
        else:
            show(f"  ✗ {name:<10} {engine.reason}\n    → {engine.remedy}")
    show("Energy")
    for verdict in sources:
        mark = "✓" if verdict.chosen else "·" if verdict.usable else "✗"
        show(f"  {mark} {verdict.source:<10} {verdict.reason}")
        if verdict.chosen and not is_characterised(verdict.source, machine, stored_profiles()):
            show("    → its sensors are taken as their maker describes them; llem config --characterise finds out more")
    if problem:
        show(f"  ✗ {problem}")
    show(f"Settings {user_config_path()}{'' if user_config_path().exists() else ' (no such file: built-in values)'}")
    for key, value, origin in settings.rows():
        if verbose or origin != "built-in":
            show(f"  {key} = {value}    {origin}")


# Sources without a sensor of their own.
_NO_SENSOR = ("estimate", "codecarbon", "none")


def is_characterised(source: str, machine: Machine, profiles: Mapping[str, SensorProfile]) -> bool:
    """Whether a profile that still holds, under the driver of today, is kept of any of its channels, or none can be made."""
    drivers = {gpu.uuid: gpu.driver_version for gpu in machine.gpus} | {"cpu": machine.kernel}
    return source in _NO_SENSOR or any(
        name.startswith(f"{source}:") and profile.driver == drivers.get(name.split(":")[1])
        for name, profile in profiles.items()
    )


def _document(
    settings: Settings,
    machine: Machine,
    engines: dict[Place, Found | Missing],
    sources: tuple[SourceVerdict, ...],
    problem: str,
) -> dict[str, object]:
    return {
        "machine": dataclasses.asdict(machine),
        "engines": {
            place.environment or place.backend: {
                "found": isinstance(engine, Found),
                "at": place.at,
                **dataclasses.asdict(engine),
            }
            for place, engine in engines.items()
        },
        "energy": [dataclasses.asdict(verdict) for verdict in sources],
        "energy_problem": problem or None,
        "settings": [{"key": key, "value": value, "origin": origin} for key, value, origin in settings.rows()],
    }
