"""When to read a channel that ticks, so that each tick lies between two reads that are less than two milliseconds apart.

It is watched closely for a moment until the distance of its ticks is known; from then on it is read closely only around each
instant at which the next tick is expected. What does not tick regularly is read at its plain rate, and watched again later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from llenergymeasure.meter.tick_fit import FASTEST_NS, Bracket, fit
from llenergymeasure.model.reading import Reading, Status
from llenergymeasure.units import NS_PER_S

# Distance of two reads near an expected tick, and while it is watched. A process that sleeps wakes some 0.1 ms late.
STEP_NS = 1_700_000
LOOK_NS = 2_000_000
# Reads are no closer than this many calls of usual length: a driver that answers slowly is not kept busy.
_CALLS_A_STEP = 4
# A call that once takes longer than this says nothing about the others.
_UNUSUAL_NS = 5_000_000

# Watching ends with this many ticks, or after this time, when the fewer must do; and with so much time spent in calls.
_TICKS, _FEWER_TICKS = 5, 3
_WATCH_NS = 6 * NS_PER_S // 5
_WATCH_CALLS_NS = NS_PER_S // 10
# How much the newest call counts for their usual length.
_CALL_GAIN = 1 / 16
# What has been watched in vain, or has lost its pace, is watched again after this time, and then after twice as long.
_RETRY_NS, _LONGEST_RETRY_NS = 2 * NS_PER_S, 64 * NS_PER_S

# A tick is looked for this long before and after its instant at most; less of a short period.
_LEAST_GUARD_NS, _MOST_GUARD_NS, _MOST_GUARD = 800_000, 8_000_000, 0.4
# How much of an error corrects the next instant and the period.
_PHASE_GAIN, _PERIOD_GAIN = 0.2, 0.02
# How fast the usual size of errors rises with one that is larger and falls with one that is smaller; the guard in such sizes.
_RISE, _FALL, _GUARD_ERRORS = 1 / 8, 1 / 32, 2.0
# What ticks that have a pace are usually off at most, as a share of the period.
_MOST_ERROR = 0.25
# Within how much of the period a tick must be known to say how far off it was.
_MOST_WIDTH = 0.35
# Ticks farther apart than so many plain periods are also looked for when they are late; and so many guards early, for so many
# ticks after one that was read too late: one that is not expected should not be known worse than by plain reads.
_LONG = 2
_EARLY_GUARDS = 3
_WARY_TICKS = 100

# A tick at another time than expected costs two points, one at its time gives back one; with so many the pace is lost.
_LOST_POINTS = 8
# A value that did not change at so many expected ticks is constant, or stands still.
_MOST_SILENT = 20
_MOST_FAILED = 5
# A pace that held for so many ticks may be looked for again at once.
_GOOD_TICKS = 20

State = Literal["plain", "watched", "followed"]


@dataclass(slots=True)
class _Pace:
    """The ticks as they are expected: the next at ``next_ns``, then each ``period_ns``, usually off by ``error_ns``."""

    next_ns: float
    period_ns: float
    error_ns: float
    good: int = 0
    silent: int = 0
    points: int = 0
    wary: int = _WARY_TICKS
    missed_ns: float | None = None

    @property
    def guard_ns(self) -> float:
        wanted_ns = _LEAST_GUARD_NS + _GUARD_ERRORS * self.error_ns
        return min(wanted_ns, _MOST_GUARD_NS, _MOST_GUARD * self.period_ns)


@dataclass(slots=True)
class TickTracker:
    """Is told every reading of one channel and says when the next is due: at ``due_ns``, or at once when that has passed.

    ``plain_ns`` is the period of reads without any tracking, and ``step_ns`` the distance below which no two reads are asked
    for. Values are only compared: whatever changes now and then can be tracked.
    """

    plain_ns: int
    step_ns: int = STEP_NS
    due_ns: int = 0
    state: State = "watched"
    _last: Reading | None = None
    _call_ns: float = 0.0
    _close_ns: int = 0
    _failed: int = 0
    _pace: _Pace | None = None
    _seen: list[Bracket] = field(default_factory=list)
    _watched_ns: int = 0
    _watched_calls_ns: int = 0
    _changes: int = 0
    _watch_at_ns: int = 0
    _retry_ns: int = _RETRY_NS
    _too_fast: bool = False

    def __post_init__(self) -> None:
        self._close_ns = self.step_ns

    @property
    def period_ns(self) -> float | None:
        """The distance of two ticks while they are followed, else ``None``."""
        return None if self._pace is None else self._pace.period_ns

    def saw(self, reading: Reading) -> None:
        """Take note of a reading. They come in the order in which they were taken."""
        if reading.status is not Status.OK:
            self._fail(reading)
            return
        self._failed = 0
        last, self._last = self._last, reading
        usual_ns = min(reading.call_ns, _UNUSUAL_NS)
        self._call_ns += (usual_ns - self._call_ns) * (1.0 if last is None else _CALL_GAIN)
        self._close_ns = max(self.step_ns, round(_CALLS_A_STEP * self._call_ns))
        tick = None
        if last is not None and reading.value != last.value:
            tick = Bracket(last.t_ns - last.call_ns, reading.t_ns)
        if self.state == "followed" and self._pace is not None:
            self._follow(self._pace, tick, reading.t_ns)
        elif self.state == "watched":
            self._watch(tick, reading)
        else:
            self._read_plainly(tick, reading.t_ns)

    def _fail(self, reading: Reading) -> None:
        """A read that fails now and then changes nothing; a device that is lost is not asked a thousand times a second."""
        self._failed += 1
        if reading.status is Status.DEVICE_LOST or self._failed >= _MOST_FAILED:
            self._give_up(reading.t_ns, retry_ns=0)
        self.due_ns = reading.t_ns + (self.plain_ns if self.state == "plain" else self._look_ns)

    def _slow(self) -> bool:
        """Whether calls take so long that close reads would hardly be closer than plain ones."""
        return 4 * self._close_ns > self.plain_ns

    @property
    def _look_ns(self) -> int:
        return max(LOOK_NS, self._close_ns)

    # Without a pace

    def _read_plainly(self, tick: Bracket | None, t_ns: int) -> None:
        self._changes += tick is not None
        self.due_ns = t_ns + self.plain_ns
        # A value that stands still has no ticks to be found.
        if self._changes >= 2 and t_ns >= self._watch_at_ns and not self._too_fast:
            self._begin_to_watch()
            self.due_ns = t_ns + self._look_ns

    def _begin_to_watch(self) -> None:
        self.state, self._pace = "watched", None
        self._seen, self._watched_ns, self._watched_calls_ns = [], 0, 0

    def _give_up(self, t_ns: int, retry_ns: int) -> None:
        self.state, self._pace, self._changes, self._watch_at_ns = "plain", None, 0, t_ns + retry_ns
        self.due_ns = t_ns + self.plain_ns

    def _watch(self, tick: Bracket | None, reading: Reading) -> None:
        look_ns = self._look_ns
        # The time of looking, not of a call that blocked or of a machine that slept.
        self._watched_ns += min(look_ns + reading.call_ns, 2 * look_ns)
        self._watched_calls_ns += min(reading.call_ns, _UNUSUAL_NS)
        self.due_ns = reading.t_ns + look_ns
        if tick is not None and tick.width_ns <= 3 * look_ns:
            self._seen.append(tick)
        over = self._watched_ns >= _WATCH_NS or self._watched_calls_ns >= _WATCH_CALLS_NS
        if len(self._seen) >= (_FEWER_TICKS if over else _TICKS):
            self._decide(reading.t_ns)
        elif over:
            self._give_up(reading.t_ns, self._later())

    def _decide(self, t_ns: int) -> None:
        """With enough ticks seen: follow them, or not."""
        found = fit(self._seen)
        if found is None or found.period_ns < FASTEST_NS or self._slow():
            self._too_fast = found is not None and found.period_ns < FASTEST_NS
            self._give_up(t_ns, self._later())
            return
        self.state = "followed"
        # A line through few points is nearer to them than to those that follow.
        error_ns = min(max(2 * found.error_ns, LOOK_NS / 2), _MOST_ERROR * found.period_ns)
        self._pace = _Pace(found.last_ns + found.period_ns, found.period_ns, error_ns)
        self._aim(self._pace, t_ns)

    def _later(self) -> int:
        retry_ns, self._retry_ns = self._retry_ns, min(2 * self._retry_ns, _LONGEST_RETRY_NS)
        return retry_ns

    # With a pace

    def _follow(self, pace: _Pace, tick: Bracket | None, t_ns: int) -> None:
        if tick is not None:
            pace.silent, pace.missed_ns = 0, None
            self._compare(pace, tick)
        if pace.points < _LOST_POINTS and pace.silent < _MOST_SILENT and not self._slow():
            self._aim(pace, t_ns)
        elif pace.good < _GOOD_TICKS:
            self._give_up(t_ns, self._later())
        else:
            self._retry_ns = _RETRY_NS
            self._give_up(t_ns, retry_ns=0)

    def _compare(self, pace: _Pace, tick: Bracket) -> None:
        """A tick against the nearest instant at which one was expected."""
        around_ns = pace.next_ns + round((tick.middle_ns - pace.next_ns) / pace.period_ns) * pace.period_ns
        error_ns = tick.middle_ns - around_ns
        close = tick.width_ns <= 2 * self._close_ns
        pace.wary = max(0, pace.wary - 1) if close else _WARY_TICKS
        if tick.width_ns > max(_MOST_WIDTH * pace.period_ns, 3 * self._close_ns):
            # After a call that blocked it says little; but where no tick was expected, the next one is looked for more widely.
            if not tick.begin_ns <= around_ns <= tick.end_ns:
                pace.points += 2
                pace.error_ns = min(2 * pace.error_ns, _MOST_ERROR * pace.period_ns)
            return
        if abs(error_ns) > pace.guard_ns + tick.width_ns / 2:
            pace.points += 2
        else:
            pace.good += 1
            pace.points = max(0, pace.points - 1)
        more_ns = abs(error_ns) - pace.error_ns
        pace.error_ns += more_ns * (_RISE if more_ns > 0 else _FALL)
        pace.period_ns += _PERIOD_GAIN * error_ns
        pace.next_ns = around_ns + _PHASE_GAIN * error_ns + pace.period_ns

    def _aim(self, pace: _Pace, t_ns: int) -> None:
        """The next read: before the next tick's guard, at its begin, and every step within it.

        A tick that did not come within its guard is looked for at growing distances.
        """
        next_ns, guard_ns, soonest_ns = pace.next_ns, pace.guard_ns, t_ns + self._close_ns
        if next_ns + guard_ns < t_ns:
            pace.silent += 1
            pace.missed_ns = next_ns
            next_ns += math.ceil((t_ns - guard_ns - next_ns) / pace.period_ns) * pace.period_ns
            pace.next_ns = next_ns
        begin_ns = next_ns - guard_ns
        if pace.period_ns < _LONG * self.plain_ns:
            self.due_ns = max(round(begin_ns), soonest_ns)
            return
        early_ns = next_ns - _EARLY_GUARDS * guard_ns
        later_ns = early_ns if pace.wary and early_ns >= soonest_ns else max(begin_ns, soonest_ns)
        if pace.missed_ns is not None:
            later_ns = min(later_ns, max(2 * t_ns - pace.missed_ns, soonest_ns))
        self.due_ns = round(later_ns)
