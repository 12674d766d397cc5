"""How busy the devices were over the window, and what was in their memory, from the readings."""

from __future__ import annotations

import numpy as np

from llenergymeasure.analyse.decoding import most_elements
from llenergymeasure.analyse.energy.series import Series, series_of
from llenergymeasure.analyse.throttling import mean_clock_mhz, throttled_s
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.performance import MemoryGroup, UtilisationGroup
from llenergymeasure.units import NS_PER_S

_NOT_SAID = "the engine does not say"


def utilisation(trace: Trace, window: Interval) -> UtilisationGroup:
    """Means over the window; a field without a channel or without a reading in the window is ``None`` with the reason."""
    accelerator, no_accelerator = _mean_percent(trace, window, "")
    bandwidth, no_bandwidth = _mean_percent(trace, window, "memory")
    cpu, no_cpu = _cpu_percent(trace, window)
    sm_clock, no_sm_clock = mean_clock_mhz(trace, window, "sm_clock")
    memory_clock, no_memory_clock = mean_clock_mhz(trace, window, "memory_clock")
    throttled = throttled_s(trace, window)
    missing = {
        "accelerator_percent": no_accelerator,
        "memory_bandwidth_percent": no_bandwidth,
        "cpu_percent": no_cpu,
        "sm_clock_mhz": no_sm_clock,
        "memory_clock_mhz": no_memory_clock,
        "throttled_s": "no channel that covers the window counts it" if throttled is None else "",
    }
    return UtilisationGroup(
        accelerator_percent=accelerator,
        memory_bandwidth_percent=bandwidth,
        cpu_percent=cpu,
        sm_clock_mhz=sm_clock,
        memory_clock_mhz=memory_clock,
        throttled_s=throttled,
        reasons={name: reason for name, reason in missing.items() if reason},
    )


def memory(trace: Trace) -> MemoryGroup:
    """What the engine holds and the peaks that were seen, each ``None`` with the reason."""
    facts, session = trace.head.memory, trace.head.session
    needed, no_needed = _kv_needed(trace)
    peak, no_peak = _device_peak(trace)
    uncounted = "the engine counts no memory of its own" if session.device != "cpu" else "nothing worked but the CPU"
    missing = {
        "weights_bytes": _NOT_SAID if session.weight_bytes is None else "",
        "kv_bytes": _NOT_SAID if session.kv_bytes is None else "",
        "kv_needed_bytes": no_needed,
        "device_allocated_peak_bytes": uncounted if facts.device_allocated_peak_bytes is None else "",
        "device_reserved_peak_bytes": uncounted if facts.device_reserved_peak_bytes is None else "",
        "device_peak_bytes": no_peak,
        "process_peak_bytes": "the system does not say" if facts.process_peak_bytes is None else "",
    }
    return MemoryGroup(
        weights_bytes=session.weight_bytes,
        kv_bytes=session.kv_bytes,
        kv_needed_bytes=needed,
        device_allocated_peak_bytes=facts.device_allocated_peak_bytes,
        device_reserved_peak_bytes=facts.device_reserved_peak_bytes,
        device_peak_bytes=peak,
        process_peak_bytes=facts.process_peak_bytes,
        reasons={name: reason for name, reason in missing.items() if reason},
    )


def _channels(trace: Trace, kind: ChannelKind, detail: str = "") -> list[Channel]:
    """The channels of this kind on the devices that worked."""
    return [
        channel
        for channel in trace.head.channels
        if (channel.kind, channel.detail) == (kind, detail) and channel.device in trace.head.session.device_ids
    ]


def _inside(series: Series, window: Interval) -> list[float]:
    return list(series.value[(series.t_ns >= window.begin_ns) & (series.t_ns <= window.end_ns)])


def _mean_percent(trace: Trace, window: Interval, detail: str) -> tuple[float | None, str]:
    channels = _channels(trace, "utilisation", detail)
    values = [_inside(series_of(trace.readings, channel.id), window) for channel in channels]
    if not values:
        return None, "no channel reads it"
    if not all(values):
        return None, "the window holds no reading of it"
    return float(np.mean([np.mean(found) for found in values])), ""


def _cpu_percent(trace: Trace, window: Interval) -> tuple[float | None, str]:
    """From the channel that counts CPU seconds of the worker's processes."""
    for channel in trace.head.channels:
        series, model = series_of(trace.readings, channel.id), channel.cpu_power_model
        if model is not None and len(series.t_ns) > 1:
            if series.t_ns[0] > window.begin_ns or series.t_ns[-1] < window.end_ns:
                return None, "the readings do not cover the window"
            begin_s, end_s = np.interp([window.begin_ns, window.end_ns], series.t_ns, series.value)
            available_s = (window.end_ns - window.begin_ns) / NS_PER_S * model.logical_cpus
            return 100 * float(end_s - begin_s) / available_s, ""
    return None, "no channel reads CPU time"


def _device_peak(trace: Trace) -> tuple[int | None, str]:
    series = [series_of(trace.readings, channel.id) for channel in _channels(trace, "memory")]
    if not series or not all(len(found.value) for found in series):
        return None, "no channel reads it"
    return sum(int(found.value.max()) for found in series), ""


def _kv_needed(trace: Trace) -> tuple[int | None, str]:
    architecture, number_bytes = trace.head.job.model.architecture, trace.head.session.kv_element_bytes
    if architecture is None:
        return None, "the model's architecture is not known"
    if number_bytes is None:
        return None, "the engine does not say the type of its key-value cache"
    return round(most_elements(architecture, trace.requests) * number_bytes), ""
