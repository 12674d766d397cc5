"""Where a trial ran: the facts of ``model.machine``, as a result keeps them. ``None`` is what the system does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.schema.quantity import Record


class GpuRecord(Record):
    """One GPU as its driver describes it: limits and clocks as set when the trial began."""

    uuid: str
    name: str
    memory_bytes: int | None = None
    driver_version: str | None = None
    vbios_version: str | None = None
    compute_capability: str | None = None
    power_limit_w: float | None = None
    power_limit_default_w: float | None = None
    sm_clock_max_mhz: int | None = None
    memory_clock_max_mhz: int | None = None
    application_sm_clock_mhz: int | None = None
    application_memory_clock_mhz: int | None = None
    persistence_mode: bool | None = None
    ecc: bool | None = None
    mig: bool | None = None
    virtualization: str | None = None
    compute_mode: str | None = None
    performance_state: int | None = None
    fan_percent: int | None = None
    temperature_c: int | None = None
    memory_temperature_c: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    power_smoothing_profile: int | None = None


class InterpreterRecord(Record):
    """A Python with the packages that matter, its CUDA (and what says so), and the runtime of the container it is in."""

    python_version: str
    implementation: str
    packages: Mapping[str, str] = {}
    cuda_version: str | None = None
    cuda_source: str | None = None
    container: str | None = None


class MachineRecord(Record):
    """The host. ``interpreter`` is the Python of the trial driver; ``power_source`` is ``None`` without a battery."""

    os: str
    kernel: str
    architecture: str
    cpu_model: str
    logical_cpus: int
    visible_cpus: int
    memory_bytes: int
    cpu_governor: str | None = None
    power_source: str | None = None
    gpus: tuple[GpuRecord, ...] = ()
    distribution: str | None = None
    interpreter: InterpreterRecord | None = None


class GitRecord(Record):
    """The repository of the study file: the commit that was checked out, and whether the file differed from it."""

    commit: str
    dirty: bool


class EnvironmentGroup(Record):
    """The host, the worker's own interpreter, the engine, and the settings in force, each with its origin.

    The carbon intensity and PUE in force are in the result's ``carbon``. ``study_git`` is ``None`` for a study without a file, or
    one outside of a git repository; ``container_digest`` for a worker in no container of ours.
    """

    machine: MachineRecord | None = None
    interpreter: InterpreterRecord | None = None
    engine: str | None = None
    engine_version: str | None = None
    runner: str | None = None
    container_digest: str | None = None
    study_git: GitRecord | None = None
    settings: tuple[Mapping[str, Any], ...] = ()
