"""Arithmetic of the window, and how much of what the devices can do it uses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.decoding import mean_context_elements, sequences_together
from llenergymeasure.analyse.flops import flops
from llenergymeasure.data.device_peaks import DevicePeaks, device_name
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.schema.performance import ComputeGroup
from llenergymeasure.units import MS_PER_S


@dataclass(frozen=True, slots=True)
class _Peaks:
    """What the devices that worked can do together; each ``None`` with a reason."""

    kind: str
    flops_per_s: float | None = None
    bytes_per_s: float | None = None
    source: str | None = None
    no_flops: str = ""
    no_bytes: str = ""


def compute(trace: Trace, window: Interval, tpot_ms: float | None, peaks: Mapping[str, DevicePeaks]) -> ComputeGroup:
    """FLOPs, MFU and MBU. ``peaks`` is the table of devices; ``tpot_ms`` the mean time of a decoding step."""
    head, architecture = trace.head, trace.head.job.model.architecture
    counted = flops(architecture, trace.requests, reason=head.job.model.architecture_reason)
    here = _peaks_of(head, peaks)
    bytes_per_step, no_step = _bytes_per_step(trace)
    mfu, no_mfu = _share(counted.total, window.duration_s, here.flops_per_s, counted.reason or here.no_flops)
    mbu, no_mbu = _share(
        bytes_per_step,
        None if tpot_ms is None else tpot_ms / MS_PER_S,
        here.bytes_per_s,
        no_step or here.no_bytes or "the time of a decoding step was not observed",
    )
    parameters = (
        architecture.parameters if head.session.parameters is None and architecture else head.session.parameters
    )
    missing = {
        "mfu": no_mfu,
        "mbu": no_mbu,
        "peak_flops_per_s": here.no_flops,
        "peak_bytes_per_s": here.no_bytes,
        "parameters_total": "the engine does not say" if parameters is None else "",
        "parameters_active": "" if architecture else "the model's architecture is not known",
    }
    return ComputeGroup(
        flops=counted,
        parameters_total=parameters,
        parameters_active=architecture.active_parameters if architecture else None,
        mfu=mfu,
        mbu=mbu,
        peak_flops_per_s=here.flops_per_s,
        peak_type=here.kind if here.flops_per_s is not None else None,
        peak_bytes_per_s=here.bytes_per_s,
        peak_source=here.source,
        reasons={name: reason for name, reason in missing.items() if reason},
    )


def device_names(head: TraceHead) -> tuple[str, ...]:
    """The names of the devices that worked, as their driver gives them; a device that nobody names goes by its id."""
    names = {channel.device: channel.device_name for channel in head.channels}
    names |= {gpu.uuid: gpu.name for gpu in head.machine.gpus}
    return tuple(names.get(device, device) for device in head.session.device_ids)


def _peaks_of(head: TraceHead, peaks: Mapping[str, DevicePeaks]) -> _Peaks:
    kind = head.session.precision
    if "cpu" in head.session.device_ids:
        reason = "a CPU's peak follows its clocks and is in no table"
        return _Peaks(kind, no_flops=reason, no_bytes=reason)
    names = device_names(head)
    found = [peaks.get(device_name(name)) for name in names]
    unknown = [name for name, device in zip(names, found, strict=True) if device is None]
    if unknown or not found:
        reason = f"{', '.join(unknown) or 'no device'} is not in the table of device peaks"
        return _Peaks(kind, no_flops=reason, no_bytes=reason)
    known = [device for device in found if device is not None]
    rates = [device.flops_per_s.get(kind) for device in known]
    widths = [device.bytes_per_s for device in known]
    return _Peaks(
        kind,
        _sum(rates),
        _sum(widths),
        "; ".join(dict.fromkeys(device.source for device in known)),
        no_flops="" if all(rates) else f"the table of device peaks has none for {kind}",
        no_bytes="" if all(widths) else "the table of device peaks has no bandwidth for this device",
    )


def _bytes_per_step(trace: Trace) -> tuple[float | None, str]:
    """Bytes that one decoding step reads: all weights once, and the cache of the sequences in it; or why it is not known."""
    session, architecture = trace.head.session, trace.head.job.model.architecture
    number_bytes, together = session.kv_element_bytes, sequences_together(trace.requests)
    if session.weight_bytes is None:
        return None, "the engine does not say how many bytes its weights take"
    if architecture is None:
        return None, "the model's architecture is not known"
    if architecture.experts:
        return None, "which experts a step reads is not observed"
    if number_bytes is None:
        return None, "the engine does not say the type of its key-value cache"
    elements = mean_context_elements(architecture, trace.requests)
    if together is None or elements is None:
        return None, "the backend does not observe tokens"
    return session.weight_bytes + together * elements * number_bytes, ""


def _share(amount: float | None, seconds: float | None, peak: float | None, reason: str) -> tuple[float | None, str]:
    if amount is None or not seconds or peak is None:
        return None, reason
    return amount / (seconds * peak), ""


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None
