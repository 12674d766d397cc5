"""Repeating things, each at its pace."""

from __future__ import annotations

import pytest

from llenergymeasure.meter.schedule import Every, Task, repeat
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import NS_PER_S


def _ms(times_ns: list[int]) -> list[float]:
    return [(t_ns - times_ns[0]) / 1e6 for t_ns in times_ns]


def _until(clock: VirtualClock, seconds: float) -> int:
    return clock.now_ns() + int(seconds * NS_PER_S)


@pytest.mark.parametrize(("now_ns", "next_ns"), [(100, 110), (101, 110), (109, 110), (110, 120), (95, 100)])
def test_the_next_instant_is_on_the_grid_and_later(now_ns: int, next_ns: int) -> None:
    """Never now, never twice, always a whole number of periods from the origin."""
    assert Every(10, 100).after(now_ns) == next_ns


def test_each_task_keeps_its_own_pace() -> None:
    """A task at 10 Hz and one at 4 Hz for one second: the slower comes early, when the other is done anyway."""
    clock = VirtualClock()
    start_ns, end_ns = clock.now_ns(), _until(clock, 0.95)
    fast: list[int] = []
    slow: list[int] = []
    tasks = [
        Task(lambda: fast.append(clock.now_ns()), Every(NS_PER_S // 10, start_ns)),
        Task(lambda: slow.append(clock.now_ns()), Every(NS_PER_S // 4, start_ns)),
    ]
    repeat(tasks, clock, lambda: clock.now_ns() > end_ns)
    assert _ms(fast) == [100.0 * step for step in range(10)]
    assert _ms(slow) == [0.0, 100.0, 400.0, 600.0, 900.0]


def test_being_early_does_not_make_it_more_often() -> None:
    """Beside a task at 50 Hz one at 3 Hz is done three times a second, each at most three quarters of its period early."""
    clock = VirtualClock()
    start_ns, end_ns, period_ns = clock.now_ns(), _until(clock, 9.99), NS_PER_S // 3
    seen: list[int] = []
    tasks = [
        Task(lambda: None, Every(NS_PER_S // 50, start_ns)),
        Task(lambda: seen.append(clock.now_ns() - start_ns), Every(period_ns, start_ns)),
    ]
    repeat(tasks, clock, lambda: clock.now_ns() > end_ns)
    assert len(seen) == 31
    assert all(0 <= place * period_ns - t_ns <= 0.75 * period_ns for place, t_ns in enumerate(seen))


def test_what_was_missed_is_not_made_up_for() -> None:
    """After a task that took 350 ms the next of its 100 ms instants is taken, and only once."""
    clock = VirtualClock()
    start_ns, end_ns = clock.now_ns(), _until(clock, 0.75)
    seen: list[int] = []

    def act() -> None:
        seen.append(clock.now_ns())
        if len(seen) == 2:
            clock.sleep(0.35)

    repeat([Task(act, Every(NS_PER_S // 10, start_ns))], clock, lambda: clock.now_ns() > end_ns)
    assert _ms(seen) == [0.0, 100.0, 500.0, 600.0, 700.0]


def test_a_wish_to_stop_is_seen_within_a_tenth_of_a_second() -> None:
    """Even when nothing is due for an hour."""
    clock = VirtualClock()
    start_ns = clock.now_ns()
    repeat(
        [Task(lambda: None, Every(3600 * NS_PER_S, start_ns))], clock, lambda: clock.now_ns() - start_ns > NS_PER_S // 2
    )
    assert clock.now_ns() - start_ns <= 0.6 * NS_PER_S


def test_without_tasks_it_only_waits() -> None:
    """Nothing to read is no reason to end, or to spin."""
    clock = VirtualClock()
    end_ns = _until(clock, 1.0)
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return clock.now_ns() >= end_ns

    repeat([], clock, stopped)
    assert looks == 11
