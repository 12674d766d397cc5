"""Finding ticks and following them, on channels that tick at given instants."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.meter.tick_fit import Bracket, fit
from llenergymeasure.meter.ticks import TickTracker
from llenergymeasure.model.reading import Reading, Status
from llenergymeasure.testing.ticking import PLAIN_NS, Ticking, brackets_ms
from llenergymeasure.units import NS_PER_S

_MS = 1_000_000


def _ticks(
    period_ms: float,
    seconds: float,
    *,
    jitter_ms: float = 0.0,
    walk_ms: float = 0.0,
    phase: float = 0.37,
    seed: int = 1,
) -> list[int]:
    """Instants ``period_ms`` apart, each off by up to ``jitter_ms``; with ``walk_ms`` the next ones move with it."""
    chance, moved, found = random.Random(seed), 0.0, []
    for number in range(int(1000 * seconds / period_ms)):
        moved += chance.gauss(0, walk_ms)
        found.append(round(((number + phase) * period_ms + moved + chance.uniform(-jitter_ms, jitter_ms)) * _MS))
    return sorted(found)


def _share(brackets: list[float], most_ms: float = 2.0) -> float:
    assert brackets
    return sum(width <= most_ms for width in brackets) / len(brackets)


def _rate(readings: list[Reading], begin_s: float = 2.0) -> float:
    """Readings a second after ``begin_s``."""
    later = [reading for reading in readings if reading.t_ns > begin_s * NS_PER_S]
    return len(later) / ((later[-1].t_ns - later[0].t_ns) / NS_PER_S)


def _read(channel: Ticking, seconds: float = 30.0) -> tuple[TickTracker, list[Reading]]:
    tracker = TickTracker(PLAIN_NS)
    return tracker, channel.read_until(round(seconds * NS_PER_S), tracker)


@pytest.mark.parametrize("jitter_ms", [0.0, 1.0, 3.0, 5.0])
@pytest.mark.parametrize("period_ms", [200, 100, 50, 20])
def test_each_tick_is_seen_within_two_milliseconds(period_ms: int, jitter_ms: float) -> None:
    """From 20 ms on and with jitter up to ±5 ms, 97 % of the ticks are bracketed by 2 ms, and none is missed."""
    ticks = _ticks(period_ms, 31, jitter_ms=jitter_ms)
    tracker, readings = _read(Ticking(ticks))
    brackets = brackets_ms(readings)
    first, last = (bisect_right(ticks, t_ns) for t_ns in (readings[0].t_ns, readings[-1].t_ns))
    assert tracker.state == "followed"
    assert last - first == len(brackets)
    assert _share(brackets[10:]) >= 0.97


@pytest.mark.parametrize(("period_ms", "most_hz"), [(100, 40), (50, 65), (20, 150), (10, 320)])
def test_reads_are_few(period_ms: int, most_hz: float) -> None:
    """Ticks that jitter by a millisecond cost about three reads each: at 100 ms fewer than plain reads at 50 Hz."""
    _, readings = _read(Ticking(_ticks(period_ms, 31, jitter_ms=1.0)))
    assert _rate(readings) <= most_hz


def test_a_drifting_clock_is_followed() -> None:
    """A period that no clock of ours divides, and ticks of which each moves all that come after it."""
    tracker, readings = _read(Ticking(_ticks(99.93, 61, walk_ms=0.5)), 60)
    assert tracker.state == "followed"
    assert tracker.period_ns == pytest.approx(99.93 * _MS, rel=0.01)
    assert _share(brackets_ms(readings)[10:]) >= 0.99


@pytest.mark.parametrize("period_ms", [1, 2, 5, 8])
def test_fast_ticks_are_not_followed(period_ms: int) -> None:
    """Below 10 ms a channel is read at its plain rate, from the first few ticks on and for good."""
    tracker, readings = _read(Ticking(_ticks(period_ms, 31)))
    assert tracker.state == "plain"
    assert _rate(readings, 0.1) == pytest.approx(50, rel=0.02)


def test_a_value_that_never_changes_is_read_plainly() -> None:
    """After 1.2 s of looking; nothing is looked for again as long as nothing changes."""
    tracker, readings = _read(Ticking(_ticks(100, 31), value=lambda number: 300.0))
    assert tracker.state == "plain"
    assert brackets_ms(readings) == []
    assert _rate(readings) == pytest.approx(50, rel=0.02)


def test_what_has_no_pace_is_read_plainly() -> None:
    """Two ticks at once, 4 and 96 ms apart, end at the plain rate, and what is spent on looking for a pace stays small."""
    tracker, readings = _read(Ticking(sorted(_ticks(100, 61) + _ticks(100, 61, phase=0.41))), 60)
    assert tracker.state == "plain"
    assert _rate(readings) < 60
    assert _share(brackets_ms(readings), 21) > 0.98


def test_a_pattern_is_followed_as_a_finer_pace() -> None:
    """Ticks that are 30 and 70 ms apart in turn are looked for at each third of their period."""
    tracker, readings = _read(Ticking(sorted(_ticks(100, 61) + _ticks(100, 61, phase=0.67))), 60)
    assert tracker.period_ns == pytest.approx(100 / 3 * _MS, rel=0.01)
    assert _rate(readings) < 200
    assert _share(brackets_ms(readings)[10:]) >= 0.99


@pytest.mark.parametrize("seed", range(5))
def test_ticks_at_random_cost_no_more_than_fast_ones(seed: int) -> None:
    """A pace may be seen where there is none: reads stay bounded, and no tick is known much worse than by plain reads."""
    ticks = sorted(random.Random(seed).sample(range(61 * NS_PER_S), 610))
    _, readings = _read(Ticking(ticks), 60)
    assert _rate(readings) < 400
    assert _share(brackets_ms(readings), 21) > 0.95


def _every_tenth_missing() -> Ticking:
    return Ticking([t_ns for number, t_ns in enumerate(_ticks(100, 61, jitter_ms=1.0)) if number % 10])


def _half_repeated() -> Ticking:
    chance = random.Random(4)
    values = [float(chance.randint(0, 1)) for _ in range(1000)]
    return Ticking(_ticks(100, 61), value=lambda number: values[number])


def _constant_for_a_while() -> Ticking:
    return Ticking(
        _ticks(100, 61, jitter_ms=1.0),
        value=lambda number: float(min(max(number, 400), 1000) if number > 200 else number),
    )


def _phase_jump() -> Ticking:
    before = [t_ns for t_ns in _ticks(100, 31) if t_ns < 30 * NS_PER_S]
    return Ticking(before + [t_ns + 30 * NS_PER_S for t_ns in _ticks(100, 31, phase=0.83)])


def _another_period() -> Ticking:
    before = [t_ns for t_ns in _ticks(100, 31) if t_ns < 30 * NS_PER_S]
    return Ticking(before + [t_ns + 30 * NS_PER_S for t_ns in _ticks(50, 31, phase=0.83)])


def _failing_for_a_while() -> Ticking:
    return Ticking(
        _ticks(100, 61),
        status=lambda t_ns: Status.FAILED if 10 * NS_PER_S < t_ns < 12 * NS_PER_S else Status.OK,
    )


def _failing_now_and_then() -> Ticking:
    return Ticking(
        _ticks(100, 61), status=lambda t_ns: Status.FAILED if random.Random(t_ns).random() < 0.05 else Status.OK
    )


def _blocking_now_and_then() -> Ticking:
    def call_ns(t_ns: int) -> int:
        chance = random.Random(t_ns)
        return chance.randint(5 * _MS, 200 * _MS) if chance.random() < 0.02 else 30_000

    return Ticking(_ticks(100, 61, jitter_ms=1.0), call_ns=call_ns)


def _reset() -> Ticking:
    return Ticking(_ticks(100, 61), value=lambda number: float(number if number < 300 else number - 300))


@pytest.mark.parametrize(
    ("channel", "least"),
    [
        (_every_tenth_missing, 0.99),
        (_half_repeated, 0.7),
        (_constant_for_a_while, 0.95),
        (_phase_jump, 0.97),
        (_another_period, 0.97),
        (_failing_for_a_while, 0.97),
        (_failing_now_and_then, 0.85),
        (_blocking_now_and_then, 0.7),
        (_reset, 0.99),
    ],
)
def test_ticks_are_found_again(channel: Callable[[], Ticking], least: float) -> None:
    """Missing and repeated values, jumps, errors, blocked calls and resets cost some ticks, not those after."""
    tracker, readings = _read(channel(), 60)
    assert tracker.state == "followed"
    assert _share(brackets_ms(readings)[10:]) >= least
    assert _share(brackets_ms(readings)[-40:]) >= least - 0.1
    assert _rate(readings) < 100


def test_a_lost_device_is_asked_at_the_plain_rate() -> None:
    """A device that is gone is not asked hundreds of times a second."""
    channel = Ticking(_ticks(100, 61), status=lambda t_ns: Status.DEVICE_LOST if t_ns > 10 * NS_PER_S else Status.OK)
    tracker, readings = _read(channel)
    assert tracker.state == "plain"
    assert _rate(readings, 10.1) == pytest.approx(50, rel=0.02)


@pytest.mark.parametrize(("call_ms", "most_share"), [(1.0, 0.05), (10.0, 0.35)])
def test_a_slow_driver_is_not_kept_busy(call_ms: float, most_share: float) -> None:
    """The longer a call takes, the farther apart reads are: not closer than four calls, and no farther than plain reads."""
    _, readings = _read(Ticking(_ticks(100, 31), call_ns=lambda t_ns: round(call_ms * _MS)))
    assert sum(reading.call_ns for reading in readings) / (30 * NS_PER_S) < most_share
    assert max(brackets_ms(readings)) <= 20 + 3 * call_ms


def test_late_wakes_cost_no_tick() -> None:
    """A busy machine that wakes us 3 ms late each tenth time widens some brackets, to a few milliseconds."""
    channel = Ticking(_ticks(100, 61), late_ns=lambda t_ns: 3 * _MS if random.Random(t_ns).random() < 0.1 else 100_000)
    tracker, readings = _read(channel, 60)
    assert tracker.state == "followed"
    assert _share(brackets_ms(readings)) > 0.7
    assert _share(brackets_ms(readings), 12.0) == 1.0


_statuses = st.sampled_from([Status.OK] * 8 + [Status.FAILED, Status.NOT_SUPPORTED, Status.DEVICE_LOST])


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 300 * _MS), st.integers(0, 3), _statuses, st.integers(0, 200 * _MS)),
        min_size=1,
        max_size=200,
    )
)
def test_whatever_is_read_the_next_read_is_due_soon_and_not_at_once(
    steps: list[tuple[int, int, Status, int]],
) -> None:
    """After any readings at all the next is at least a step away, and no later than a second."""
    tracker, t_ns = TickTracker(PLAIN_NS), 0
    for late_ns, value, status, call_ns in steps:
        t_ns = max(t_ns, tracker.due_ns) + late_ns + call_ns
        tracker.saw(Reading(t_ns, call_ns, 0, float(value) if status is Status.OK else float("nan"), status))
        assert tracker.step_ns <= tracker.due_ns - t_ns <= NS_PER_S


@settings(max_examples=100, deadline=None)
@given(
    period_ms=st.floats(9.6, 400),
    jitter=st.floats(0, 0.1),
    missing=st.sets(st.integers(1, 9), max_size=3),
    seed=st.integers(0, 999),
)
def test_the_period_of_any_regular_ticks_is_found(
    period_ms: float, jitter: float, missing: set[int], seed: int
) -> None:
    """From ten ticks of which up to three were not seen, to within their jitter."""
    ticks = _ticks(period_ms, period_ms / 1000 * 10.5, jitter_ms=jitter * period_ms, seed=seed)
    assert len(ticks) == 10
    found = fit([Bracket(t_ns - _MS, t_ns + _MS) for number, t_ns in enumerate(ticks) if number not in missing])
    assert found is not None
    assert found.period_ns == pytest.approx(period_ms * _MS, rel=max(0.3 * jitter, 1e-6))
    assert found.error_ns <= 2 * jitter * period_ms * _MS + 1


def test_ticks_without_a_pace_fit_nothing() -> None:
    """Distances of which none is a multiple of another."""
    assert fit([Bracket(t_ms * _MS, t_ms * _MS) for t_ms in (60, 190, 290, 360, 380)]) is None
