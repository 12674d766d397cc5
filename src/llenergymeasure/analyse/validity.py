"""Which remarks a trace earns."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.analyse.headline import TrialEnergy
from llenergymeasure.analyse.tokens import mismatched
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.validity import Remark, Validity, remark
from llenergymeasure.units import NS_PER_S

# A meter that was not scheduled for so long has lost readings.
_GAP_S = 1.0
# Two clocks that run apart by more than this within a second show a suspended machine.
_SUSPENDED_NS = NS_PER_S // 2
# Windows that end within this share of the wish are not called short.
_SHORT = 0.98


def judge(trace: Trace, window: Interval, energy: TrialEnergy, rates: tuple[Quantity, Quantity, Quantity]) -> Validity:
    """All remarks on a trace. ``rates`` are (J/token, tokens/s, W)."""
    remarks = tuple(_remarks(trace, window, energy, rates))
    return Validity(valid=all(found.severity != "error" for found in remarks), remarks=remarks)


def _remarks(
    trace: Trace, window: Interval, energy: TrialEnergy, rates: tuple[Quantity, Quantity, Quantity]
) -> Iterator[Remark]:
    head = trace.head
    protocol = head.job.protocol
    if energy.total_j.estimated:
        yield remark("estimated_energy", "joules come from a model of the CPU, not from a meter")
    if head.session.engine == "simulated" or any(channel.source == "simulated" for channel in head.channels):
        yield remark("simulated", "a simulated engine or sensor took part")
    if protocol.preliminary:
        yield remark("preliminary", "measured with --quick")
    if protocol.warmup.strategy == "steady" and head.warmup.steady is not True:
        cv = "unknown" if head.warmup.cv is None else f"{head.warmup.cv:.1%}"
        yield remark("no_steady_state", f"{head.warmup.batches} warm-up batches, coefficient of variation {cv}")
    if window.duration_s < _SHORT * protocol.window.min_seconds:
        yield remark("short_window", f"{window.duration_s:.2f} s of {protocol.window.min_seconds:.2f} s asked for")
    if head.window.partial:
        yield remark("partial_pass", f"the last pass was cut by {head.window.stopped_by}")
    if head.inputs.truncated:
        yield remark("inputs_truncated", f"{head.inputs.truncated} prompts were cut")
    if wrong := mismatched(trace.requests):
        yield remark("token_count_mismatch", f"{wrong} of {len(trace.requests)} requests")
    for reset in energy.resets:
        yield remark("counter_reset", reset)
    if energy.largest_gap_s > _GAP_S:
        yield remark("sampling_gap", f"{energy.largest_gap_s:.1f} s without a reading")
    if offset := _clock_offset(head):
        yield remark("clock_offset", offset)
    if suspended_s := _suspended_s(head):
        yield remark("suspended", f"the machine slept for {suspended_s:.1f} s")
    if broken := _physics(rates):
        yield remark("physics", broken)


def _clock_offset(head: TraceHead) -> str:
    if head.meter is None:
        return ""
    same = (head.worker.boot_id, head.worker.time_namespace) == (head.meter.boot_id, head.meter.time_namespace)
    return "" if same else "worker and meter stamped with different clocks"


def _suspended_s(head: TraceHead) -> float:
    """Monotonic time stands still while a machine sleeps, boot time does not."""
    behind = [triple.boottime_ns - triple.monotonic_ns for triple in head.clock]
    slept_ns = max(behind) - min(behind) if behind else 0
    return slept_ns / NS_PER_S if slept_ns > _SUSPENDED_NS else 0.0


def _physics(rates: tuple[Quantity, Quantity, Quantity]) -> str:
    per_token, rate, power = (quantity.value for quantity in rates)
    if per_token is None or rate is None or power is None:
        return ""
    if abs(per_token * rate - power) > 1e-9 * power:
        return f"{per_token} J/token × {rate} tokens/s is not {power} W"
    return ""
