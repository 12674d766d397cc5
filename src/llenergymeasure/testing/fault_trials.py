"""One trial on a virtual board on which something goes wrong: what the result makes of it, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pynvml

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.machine.gpus import gpus_of
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.testing.builders import machine, marks, request_record, session_facts, trace
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import Process, VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import (
    COUNTER,
    INSTANT,
    USAGE,
    CallSpikes,
    Capped,
    CounterFalls,
    CounterReset,
    CounterStuck,
    Disappears,
    Fault,
    ForeignProcess,
    Refused,
    Stale,
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.sensor import Sensors
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S, s_to_ns

BEGIN_NS = VirtualClock().now_ns()
_BEGIN_S = BEGIN_NS // NS_PER_S
_OURS, _OTHERS = 10, 4242
_LENGTH_S = 34.0
_WINDOW_S = (12.0, 28.0)


def at(second: float) -> int:
    """An instant of the trial, whose window goes from 12 to 28 s."""
    return BEGIN_NS + s_to_ns(second)


MIDDLE_NS, LATER_NS, _NEVER_NS = at(18.0), at(22.0), at(1000.0)

# What goes wrong in the middle of the window: for 4 s, or from then on.
FAULTS: dict[str, Fault] = {
    "counter reset": CounterReset(MIDDLE_NS),
    "counter falls": CounterFalls(MIDDLE_NS),
    "counter stuck": CounterStuck(MIDDLE_NS),
    "counter reads 0 for 4 s": Zeros(COUNTER, MIDDLE_NS, LATER_NS),
    "counter reads 0 from then on": Zeros(COUNTER, MIDDLE_NS, _NEVER_NS),
    "instant power reads 0 for 4 s": Zeros(INSTANT, MIDDLE_NS, LATER_NS),
    "mean power reads 0 for 4 s": Zeros(USAGE, MIDDLE_NS, LATER_NS),
    "counter not supported for 4 s": Refused(COUNTER, MIDDLE_NS, LATER_NS),
    "counter not supported from then on": Refused(COUNTER, MIDDLE_NS, _NEVER_NS),
    "instant power not supported from then on": Refused(INSTANT, MIDDLE_NS, _NEVER_NS),
    "counter stale for 4 s": Stale(COUNTER, MIDDLE_NS, LATER_NS),
    "counter stale from then on": Stale(COUNTER, MIDDLE_NS, _NEVER_NS),
    "instant power stale from then on": Stale(INSTANT, MIDDLE_NS, _NEVER_NS),
    "mean power stale from then on": Stale(USAGE, MIDDLE_NS, _NEVER_NS),
    "calls that take 5 to 200 ms": CallSpikes(share=0.05),
    "board gone from then on": Disappears(MIDDLE_NS),
    "board gone for 0.5 s": Disappears(MIDDLE_NS, at(18.5)),
    "board gone for 4 s": Disappears(MIDDLE_NS, LATER_NS),
    "somebody else adds 80 W for 4 s": ForeignProcess(MIDDLE_NS, LATER_NS),
    "power limit lowered for 4 s": Capped(MIDDLE_NS, LATER_NS, 250.0),
    "held by heat for 4 s": Capped(MIDDLE_NS, LATER_NS, 250.0, int(pynvml.NVML_PERF_POLICY_THERMAL)),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of a trial, and the true energy of its window."""

    result: ExperimentResult
    true_j: float

    @property
    def codes(self) -> dict[str, str]:
        """The evidence of each remark."""
        return {one.code: one.evidence for one in self.result.validity.remarks}

    @property
    def holds(self) -> bool:
        """Whether the stated interval holds the truth."""
        bounds = self.result.energy_total_j.absolute_95
        return bounds is not None and bounds.low <= self.true_j <= bounds.high


def tried(*faults: Fault, sensors: Sensors | None = None, head: dict[str, Any] | None = None, **board: Any) -> Tried:
    """A trial of 16 s on one virtual H100. ``head`` replaces facts of the trace, ``board`` those of the board."""
    clock, preset = VirtualClock(), H100_SXM
    phases = [preset.idle(6, loaded=False), preset.idle(6), preset.decode(16), preset.idle(10)]
    work = Workload.of(BEGIN_NS, phases, preset.thermal)
    gpu = VirtualGpu(
        preset, work, sensors or preset.sensors(), faults=faults, processes=(Process(_OURS, 2**33),), **board
    )
    nvml = VirtualNvml(clock, gpu, horizon_s=_LENGTH_S + 5)
    boards = gpus_of(nvml)
    readout = metered(nvml, clock, _LENGTH_S, {_OURS: True, _OTHERS: False}.get)
    begin, end = (_BEGIN_S + second for second in _WINDOW_S)
    found = trace(
        [
            request_record(
                0, output_tokens=1500, submitted_ns=s_to_ns(begin), first_token_ns=s_to_ns(begin), step_ns=10**7
            )
        ],
        tuple(readout.readings),
        marks=marks(
            ("idle", _BEGIN_S + 1, _BEGIN_S + 5),
            ("load", _BEGIN_S + 5, _BEGIN_S + 6),
            ("idle_loaded", _BEGIN_S + 7, _BEGIN_S + 11),
            ("warmup", begin - 1, begin),
            ("window", begin, end),
            ("quiet", end, end + 1),
        ),
        channels=readout.channels,
        machine=machine(gpus=boards),
        session=session_facts(engine="pytorch", device="cuda", device_ids=(gpu.uuid,)),
        **(head or {}),
    )
    return Tried(analyse(found), nvml.truth_j(0, at(_WINDOW_S[0]), at(_WINDOW_S[1])))
