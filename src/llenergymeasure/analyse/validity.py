"""Which remarks a trace earns."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.analyse.conditions import condition_remarks
from llenergymeasure.analyse.energy.drift import thermal_drift, warming
from llenergymeasure.analyse.energy.headline import TrialEnergy
from llenergymeasure.analyse.energy.uncertainty import most_is_alias
from llenergymeasure.analyse.throttling import throttling_remarks
from llenergymeasure.analyse.tokens import mismatched
from llenergymeasure.model.event import ClockTriple
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Readout
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.schema.performance import ComputeGroup
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.validity import Remark, Validity, remark
from llenergymeasure.units import NS_PER_S

# A meter that was not scheduled for so long has lost readings.
_GAP_S = 1.0
# Two clocks that run apart by more than this within a second show a suspended machine.
_SUSPENDED_NS = NS_PER_S // 2
# Rates above the devices' peak by more than this cannot be true; peaks are stated for one clock, and boards vary.
_PEAK = 1.05
# Windows that end within this share of the wish are not called short.
_SHORT = 0.98


Rates = tuple[Quantity, Quantity, Quantity]


def judge(trace: Trace, window: Interval, energy: TrialEnergy, rates: Rates, compute: ComputeGroup) -> Validity:
    """All remarks on a trace. ``rates`` are (J/token, tokens/s, W)."""
    remarks = tuple(_remarks(trace, window, energy, rates, compute))
    return Validity(valid=all(found.severity != "error" for found in remarks), remarks=remarks)


def _remarks(
    trace: Trace, window: Interval, energy: TrialEnergy, rates: Rates, compute: ComputeGroup
) -> Iterator[Remark]:
    head = trace.head
    protocol, cold = head.job.protocol, head.job.cold_start
    yield from metering_remarks(trace.readout, energy, head.clock)
    if head.session.engine == "simulated":
        yield remark("simulated", "a simulated engine took part")
    if protocol.preliminary:
        yield remark("preliminary", "measured with --quick")
    if not cold and protocol.warmup.strategy == "steady" and head.warmup.steady is not True:
        cv = "unknown" if head.warmup.cv is None else f"{head.warmup.cv * 100:.1f} %"
        yield remark("no_steady_state", f"{head.warmup.batches} warm-up batches, coefficient of variation {cv}")
    for change in thermal_drift(warming(trace.readout, window)):
        yield remark("thermal_drift", change)
    if not cold and window.duration_s < _SHORT * protocol.window.min_seconds:
        yield remark("short_window", f"{window.duration_s:.2f} s of {protocol.window.min_seconds:.2f} s asked for")
    if head.window.partial:
        yield remark("partial_pass", f"the last pass was cut by {head.window.stopped_by}")
    if head.inputs.truncated:
        yield remark("inputs_truncated", f"{head.inputs.truncated} prompts were cut")
    if wrong := mismatched(trace.requests):
        yield remark("token_count_mismatch", f"{wrong} of {len(trace.requests)} requests")
    if offset := _clock_offset(head):
        yield remark("clock_offset", offset)
    yield from condition_remarks(trace, window)
    yield from throttling_remarks(trace, window)
    for broken in _physics(head, window, energy, rates, compute):
        yield remark("physics", broken)


def metering_remarks(readout: Readout, energy: TrialEnergy, clock: tuple[ClockTriple, ...]) -> Iterator[Remark]:
    """What the readings alone say, whatever they were taken of."""
    if energy.total_j.estimated:
        yield remark("estimated_energy", "joules come from a model of the CPU, not from a meter")
    if any(channel.source == "simulated" for channel in readout.channels):
        yield remark("simulated", "a simulated sensor was read")
    for verdict in readout.verdicts:
        if verdict.chosen and not verdict.usable:
            yield remark("source_broken", f"{verdict.source}: {verdict.reason}")
    for check in energy.checks:
        if not check.agrees:
            yield remark("source_disagreement", check.evidence)
    if alias := most_is_alias(energy.terms):
        yield remark(
            "sampling_alias",
            f"±{alias * 100:.1f} % of the energy may be the sensor's, which looks part of the time only",
        )
    for device in energy.in_pace:
        yield remark(
            "sampling_alias",
            f"steps of the work keep pace with the sensor of {device}, and whether it looks all the time is not known: "
            "llem config --characterise finds out",
        )
    for reset in energy.resets:
        yield remark("counter_reset", reset)
    if energy.largest_gap_s > _GAP_S:
        yield remark("sampling_gap", f"{energy.largest_gap_s:.1f} s without a reading")
    if suspended_s := _suspended_s(clock):
        yield remark("suspended", f"the machine slept for {suspended_s:.1f} s")


def _clock_offset(head: TraceHead) -> str:
    if head.meter is None:
        return ""
    same = (head.worker.boot_id, head.worker.time_namespace) == (head.meter.boot_id, head.meter.time_namespace)
    return "" if same else "worker and meter stamped with different clocks"


def _suspended_s(clock: tuple[ClockTriple, ...]) -> float:
    """Monotonic time stands still while a machine sleeps, boot time does not."""
    behind = [triple.boottime_ns - triple.monotonic_ns for triple in clock]
    slept_ns = max(behind) - min(behind) if behind else 0
    return slept_ns / NS_PER_S if slept_ns > _SUSPENDED_NS else 0.0


def _physics(
    head: TraceHead, window: Interval, energy: TrialEnergy, rates: Rates, compute: ComputeGroup
) -> Iterator[str]:
    """What cannot be true: figures that contradict each other, a cap, or what the devices can do."""
    yield from _identity(*(quantity.value for quantity in rates))
    caps_w = {gpu.uuid: gpu.power_limit_w for gpu in head.machine.gpus}
    for part in energy.parts:
        cap_w, bounds = caps_w.get(part.device), part.gross_j.absolute_95
        if part.domain == "gpu" and cap_w is not None and bounds is not None:
            least_w = bounds.low / window.duration_s
            if least_w > cap_w:
                yield f"{part.device} took {least_w:.4g} W or more, its limit is {cap_w:g} W"
    if compute.mfu is not None and compute.mfu > _PEAK:
        yield f"the FLOP rate is {compute.mfu:.2f} times the devices' peak for {compute.peak_type}"
    if compute.mbu is not None and compute.mbu > _PEAK:
        yield f"the byte rate is {compute.mbu:.2f} times the devices' memory bandwidth"


def _identity(per_token: float | None, rate: float | None, power: float | None) -> Iterator[str]:
    if per_token is None or rate is None or power is None:
        return
    if abs(per_token * rate - power) > 1e-9 * power:
        yield f"{per_token} J/token × {rate} tokens/s is not {power} W"
