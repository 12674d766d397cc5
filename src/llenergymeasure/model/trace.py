"""The trace: all facts of a trial and no computed metric. What analysis reads, today or in a year."""

from __future__ import annotations

from dataclasses import dataclass

from llenergymeasure.model.event import (
    ClockTriple,
    FileCache,
    MemoryFacts,
    MeterCost,
    PowerRestored,
    PowerSet,
    SessionFacts,
    WarmupDone,
    WindowDone,
)
from llenergymeasure.model.idle import IdlePower
from llenergymeasure.model.inputs import InputsDescription
from llenergymeasure.model.job import TrialJob
from llenergymeasure.model.machine import Interpreter, Machine, ProcessIdentity
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.reading import Channel, Readings, Readout, SourceVerdict
from llenergymeasure.model.request import RequestRecord

TRACE_VERSION = "2.0"


@dataclass(frozen=True, slots=True)
class TraceHead:
    """``trace.json``: everything but the columns, which are Parquet files beside it.

    ``started_at`` is the UTC time (ISO 8601) at which the driver began; ``warmup_batch_s`` the duration of each warm-up batch.
    """

    job: TrialJob
    started_at: str
    duration_s: float
    worker: ProcessIdentity
    meter: ProcessIdentity | None
    machine: Machine
    interpreter: Interpreter
    inputs: InputsDescription
    marks: tuple[Mark, ...]
    session: SessionFacts
    memory: MemoryFacts
    warmup: WarmupDone
    warmup_batch_s: tuple[float, ...]
    window: WindowDone
    channels: tuple[Channel, ...]
    verdicts: tuple[SourceVerdict, ...]
    clock: tuple[ClockTriple, ...]
    file_cache: FileCache | None = None
    meter_cost: MeterCost | None = None
    idle_reused: IdlePower | None = None
    power_set: PowerSet | None = None
    power_restored: PowerRestored | None = None
    version: str = TRACE_VERSION


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole trace: the head, the requests of the window in order of their sequence, the readings in order of time."""

    head: TraceHead
    requests: tuple[RequestRecord, ...]
    readings: Readings

    @property
    def readout(self) -> Readout:
        """What its meter read, for the devices that its session says worked."""
        return Readout(self.head.channels, self.head.verdicts, self.readings, self.head.session.device_ids)
