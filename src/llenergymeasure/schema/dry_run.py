"""What a dry run says: the plan of a study with its forecasts, as one document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llenergymeasure.schema.quantity import Record
from llenergymeasure.schema.skipped import SkippedPoint


class MemoryOutlook(Record):
    """Bytes that a trial takes at most, against those that its device has. ``reason`` says why something is not known."""

    verdict: Literal["fits", "tight", "will not fit", "unknown"]
    peak_bytes: int | None = None
    engine_bytes: int | None = None
    weights_bytes: int | None = None
    kv_bytes: int | None = None
    working_bytes: int | None = None
    loading_bytes: int | None = None
    available_bytes: int | None = None
    reason: str | None = None


class TimeOutlook(Record):
    """Seconds and joules of one trial, and by what they are told; ``guessed`` where nothing like it was measured before.

    ``limit_seconds``: a trial is given up so long after loading; ``None`` is never.
    """

    seconds: float | None
    joules: float | None
    basis: str
    guessed: bool
    joules_reason: str | None = None
    limit_seconds: float | None = None


class PlannedPoint(Record):
    """One experiment of the plan."""

    label: str
    measurement_config_hash: str
    environment: str | None
    varied: Mapping[str, Any]
    backend: str
    precision: str | None
    device: str
    concurrency: int
    prompts: str
    memory: MemoryOutlook
    time: TimeOutlook


class EngineOutlook(Record):
    """Whether an engine of the plan is here, as far as that can be told without starting it."""

    backend: str
    installed: bool | None
    detail: str


class TotalsOutlook(Record):
    """Of all trials with their pauses; trials without a forecast are counted and left out of the sums."""

    seconds: float | None
    joules: float | None
    untimed_trials: int
    trials_without_joules: int


class DryRun(Record):
    """What would run.

    ``order`` lists places in ``points`` and cycles, both from 0, as they would follow each other. ``energy`` says in words what
    would be read; ``generated`` counts all points of the sweep that no filter left out; ``problems`` would stop a run;
    ``notices`` are about the study file.
    """

    name: str
    generated: int
    merged: int
    skipped: tuple[SkippedPoint, ...]
    points: tuple[PlannedPoint, ...]
    cycles: int
    cycle_order: str
    order_seed: int
    order: tuple[tuple[int, int], ...]
    energy: str
    engines: tuple[EngineOutlook, ...]
    totals: TotalsOutlook
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    schema_version: str = "2.0"
