"""How long something held the clocks of the devices that worked down, what it was, and whether the cap stayed as it was."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from llenergymeasure.analyse.energy.series import Floats, Series, series_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.validity import Remark, remark

# A board at its power limit does what it is made for; boards that keep in step do as they were told.
_EXPECTED = frozenset({"power", "sync_boost"})
# Of the bits of NVML's clock-event reasons, those that are no limit anybody chose. Seen now and then, not counted in time.
_ALARMS = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_POWER_CAP = 0x04
# Times are read once a second: less than this share of the window is the error of its edges.
_LEAST_SHARE = 0.002
# Limits are set in whole watts.
_SAME_W = 1.0
# A clock that is this much below the one asked for was not held; drivers round to the next of their steps.
_SAME_CLOCK = 0.02


def throttled_s(trace: Trace, window: Interval) -> dict[str, float] | None:
    """Seconds of the window by cause, of the device on which it was longest; ``None`` where no driver counts them.

    The driver counts exactly; what it had counted at the edges lies between two readings, and time is taken to pass evenly there.
    """
    found: dict[str, float] = {}
    for channel in _of_working(trace, "throttle_time"):
        series = series_of(trace.readings, channel.id)
        if not len(series.t_ns) or series.t_ns[0] > window.begin_ns or series.t_ns[-1] < window.end_ns:
            continue
        begin_s, end_s = np.interp([window.begin_ns, window.end_ns], series.t_ns, series.value)
        found[channel.detail] = max(found.get(channel.detail, 0.0), float(end_s - begin_s))
    return found or None


def throttling_remarks(trace: Trace, window: Interval) -> Iterator[Remark]:
    """What was held down in the window, apart what is normal and what is not, and caps and clocks that did not stay."""
    times = throttled_s(trace, window)
    long = {cause: spent_s for cause, spent_s in (times or {}).items() if spent_s > _LEAST_SHARE * window.duration_s}
    alarms = _in_words({cause: spent_s for cause, spent_s in long.items() if cause not in _EXPECTED}, window)
    alarms += [words for bit, words in _ALARMS.items() for words in _seen(trace, window, bit, words)]
    if alarms:
        yield remark("throttled", "; ".join(alarms))
    capped = _in_words({cause: spent_s for cause, spent_s in long.items() if cause in _EXPECTED}, window)
    if times is None:
        capped += _seen(trace, window, _POWER_CAP, "power limit")
    if capped:
        yield remark("power_capped", "; ".join(capped))
    yield from _limit_remarks(trace)
    yield from _clock_remarks(trace, window)


def mean_clock_mhz(trace: Trace, window: Interval, kind: ChannelKind) -> tuple[float | None, str]:
    """(mean of the window over the devices that worked, why it is not known)."""
    channels = _of_working(trace, kind)
    values = [_within(series_of(trace.readings, channel.id), window) for channel in channels]
    if not channels:
        return None, "no channel reads it"
    if not all(len(found) for found in values):
        return None, "the window holds no reading of it"
    return float(np.mean([found.mean() for found in values])), ""


def _in_words(times: dict[str, float], window: Interval) -> list[str]:
    return [
        f"{spent_s:.1f} s of {window.duration_s:.1f} s {cause.replace('_', ' ')}" for cause, spent_s in times.items()
    ]


def _seen(trace: Trace, window: Interval, bit: int, words: str) -> list[str]:
    """How often a reason was there when it was looked for."""
    masks = [
        int(value)
        for channel in _of_working(trace, "clock_reasons")
        for value in _within(series_of(trace.readings, channel.id), window)
    ]
    often = sum(bool(mask & bit) for mask in masks)
    return [f"{words} in {often} of {len(masks)} readings"] if often else []


def _limit_remarks(trace: Trace) -> Iterator[Remark]:
    for channel in _of_working(trace, "power_limit"):
        limits_w = series_of(trace.readings, channel.id).value
        if len(limits_w) and limits_w.max() - limits_w.min() > _SAME_W:
            yield remark(
                "power_limit_changed", f"{channel.device}: between {limits_w.min():g} and {limits_w.max():g} W"
            )


def _clock_remarks(trace: Trace, window: Interval) -> Iterator[Remark]:
    """Clocks that were asked for and not kept while the work ran, which is when they can be seen."""
    asked = trace.head.job.power
    if asked is None:
        return
    wanted: tuple[tuple[ChannelKind, int | None], ...] = (
        ("sm_clock", asked.sm_clock_mhz),
        ("memory_clock", asked.mem_clock_mhz),
    )
    for kind, wanted_mhz in wanted:
        mean_mhz, _ = mean_clock_mhz(trace, window, kind)
        if wanted_mhz is not None and mean_mhz is not None and abs(mean_mhz / wanted_mhz - 1) > _SAME_CLOCK:
            words = kind.replace("_", " ").replace("sm ", "SM ")
            yield remark("clocks_not_held", f"{words}: {wanted_mhz} MHz asked for, {mean_mhz:.0f} MHz in the window")


def _of_working(trace: Trace, kind: ChannelKind) -> list[Channel]:
    used = trace.head.session.device_ids
    return [channel for channel in trace.head.channels if channel.kind == kind and channel.device in used]


def _within(series: Series, window: Interval) -> Floats:
    return series.value[(series.t_ns >= window.begin_ns) & (series.t_ns <= window.end_ns)]
