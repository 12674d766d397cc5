"""What results depend on and a study cannot change: boards, drivers, engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llenergymeasure.model.machine import Machine


def fingerprint(machine: Machine, engines: Mapping[str, str]) -> dict[str, str]:
    """Words by subject. ``engines``: the version by the name of the backend or environment that runs it."""
    found = {"cpu": f"{machine.cpu_model}, {machine.visible_cpus} CPUs"}
    for gpu in machine.gpus:
        found[f"gpu {gpu.uuid}"] = f"{gpu.name}, driver {gpu.driver_version}"
    return found | {f"engine {name}": version for name, version in engines.items()}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """One line for each subject that is not as it was."""
    for subject in dict.fromkeys((*before, *now)):
        old, new = before.get(subject, "not there"), now.get(subject, "not there")
        if old != new:
            yield f"{subject}: {old} before, {new} now"
