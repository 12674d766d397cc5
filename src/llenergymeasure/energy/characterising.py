"""Read sensors densely while a load goes on and off, and say how they behave: at most 20 s, once for each board and driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.energy.characterise import Stretches, period_of, profile_of
from llenergymeasure.energy.contract import EnergySource
from llenergymeasure.energy.select import Reads
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Readings
from llenergymeasure.units import NS_PER_S, s_to_ns

_BETWEEN_READS_S = 0.001
# Rest, before the load is ready, work, rest after it, each square wave, and what lag and averaging need at the end.
_IDLE_S, _READY_S, _STEADY_S, _OFF_S, _SQUARE_S, _TAIL_S = 3.0, 1.0, 4.0, 2.0, 2.5, 1.6
# A sensor with no ticks that can be seen is tried as if it had these.
_USUAL_TICK_S = 0.1
_UNLOCKED = 1.37
# Rest and work are judged after the longest mean of the past, and values that are late, have let go of what was before.
_SETTLED_S = 1.6


class Load(Protocol):
    """Something that keeps the boards busy."""

    def work(self, at: Sequence[Interval]) -> None:
        """Work in these intervals, the first of which begins a second from now, and rest between them. Returns at once."""

    def worked(self) -> tuple[Interval, ...]:
        """When it did, after the last of them has ended. Raises ``LLEMError`` when it could not."""

    def heats(self, channel: Channel) -> bool:
        """Whether its work is what this channel reads."""


@dataclass(frozen=True, slots=True)
class Program:
    """When a load is to work: steadily, and in two square waves."""

    steady: Interval
    locked: tuple[Interval, ...]
    unlocked: tuple[Interval, ...]

    @property
    def working(self) -> tuple[Interval, ...]:
        """All of it, in order of time."""
        return (self.steady, *self.locked, *self.unlocked)


def program(begin_ns: int, tick_s: float) -> Program:
    """Steady work from ``begin_ns`` on, rest, then square waves with the period of the tick and of 1.37 ticks."""
    steady = Interval(begin_ns, begin_ns + s_to_ns(_STEADY_S))
    locked = _square(steady.end_ns + s_to_ns(_OFF_S), tick_s)
    unlocked = _square(locked[-1].end_ns + s_to_ns(_SETTLED_S), _UNLOCKED * tick_s)
    return Program(steady, locked, unlocked)


def _square(begin_ns: int, period_s: float) -> tuple[Interval, ...]:
    """Work in the first half of each period."""
    starts = (begin_ns + s_to_ns(number * period_s) for number in range(round(_SQUARE_S / period_s)))
    return tuple(Interval(start_ns, start_ns + s_to_ns(period_s / 2)) for start_ns in starts)


def characterise(
    reads: Sequence[Reads],
    clock: Clock,
    load: Load | None,
    *,
    measured_at: str,
    driver_of: Callable[[Channel], str | None],
) -> tuple[tuple[Channel, SensorProfile], ...]:
    """A profile for each metered energy channel. Without a load some of it stays unknown, and the profile says why."""
    channels = [
        (read.source, channel) for read in reads for channel in read.channels if channel.kind in ENERGY_KINDS[:-1]
    ]
    idle = Interval(clock.now_ns(), clock.now_ns() + s_to_ns(_IDLE_S))
    readings = Readings()
    _read_until(idle.end_ns, channels, readings, clock)
    did = Stretches(idle)
    if load is not None:
        periods = [period_of(channel, readings, idle) for _, channel in channels]
        planned = program(clock.now_ns() + s_to_ns(_READY_S), max(filter(None, periods), default=_USUAL_TICK_S))
        load.work(planned.working)
        _read_until(planned.working[-1].end_ns + s_to_ns(_TAIL_S), channels, readings, clock)
        did = _did(idle, planned, load.worked())
    return tuple(
        (
            channel,
            profile_of(
                channel,
                _power_of(channel, [other for _, other in channels]),
                readings,
                did if load is not None and load.heats(channel) else Stretches(idle),
                measured_at=measured_at,
                driver=driver_of(channel),
            ),
        )
        for _, channel in channels
    )


def _read_until(
    end_ns: int, channels: Sequence[tuple[EnergySource, Channel]], readings: Readings, clock: Clock
) -> None:
    """One reading of each channel after the other, again each millisecond."""
    while (began_ns := clock.now_ns()) < end_ns:
        for source, channel in channels:
            for reading in source.read((channel,)):
                readings.append(reading)
        left_ns = began_ns + s_to_ns(_BETWEEN_READS_S) - clock.now_ns()
        clock.sleep(max(left_ns, 0) / NS_PER_S)


def _did(idle: Interval, planned: Program, working: tuple[Interval, ...]) -> Stretches:
    """The stretches by what the load says it did; its plan says which of them belong together."""
    settled = s_to_ns(_SETTLED_S)
    steady = working[0]
    waves = working[1 : 1 + len(planned.locked)], working[1 + len(planned.locked) :]
    return Stretches(
        idle=idle,
        steady=Interval(steady.begin_ns + settled, steady.end_ns),
        working=working,
        locked=_whole_periods(waves[0]),
        unlocked=_whole_periods(waves[1]),
    )


def _whole_periods(wave: Sequence[Interval]) -> Interval | None:
    """From the first begin to the last; ``None`` for less than two periods."""
    return Interval(wave[0].begin_ns, wave[-1].begin_ns) if len(wave) > 1 else None


def _power_of(counter: Channel, channels: Sequence[Channel]) -> Channel | None:
    """The channel with the instant power of the same domain, else its mean power."""
    for kind in ("power_instant", "power_mean"):
        for channel in channels:
            if (channel.device, channel.domain, channel.kind) == (counter.device, counter.domain, kind):
                return channel
    return None
