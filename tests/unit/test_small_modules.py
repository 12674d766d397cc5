from __future__ import annotations

import time
from datetime import UTC

import pytest

import llenergymeasure
from llenergymeasure import errors
from llenergymeasure.clock import MonotonicClock, Ticker, boot_id, clock_triple_ns, namespace_inode, utc_now
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import ns_to_s, s_to_ns


def test_units_are_inverse() -> None:
    """Seconds and nanoseconds convert without loss where both are whole."""
    assert (s_to_ns(1.5), ns_to_s(1_500_000_000)) == (1_500_000_000, 1.5)
    assert s_to_ns(ns_to_s(123_456_789)) == 123_456_789


def test_ticker_is_due_once_a_period() -> None:
    """At first, and then not before a period has passed."""
    clock = VirtualClock()
    ticker = Ticker(clock, 2.0)
    due = []
    for _ in range(6):
        due.append(ticker.due())
        clock.sleep(1)
    assert due == [True, False, True, False, True, False]


def test_the_clock_is_the_systems_monotonic_one() -> None:
    """Stamps compare with those of any process on this machine."""
    clock = MonotonicClock()
    before = time.monotonic_ns()
    clock.sleep(0)
    assert before <= clock.now_ns() <= time.monotonic_ns()


def test_the_three_clocks_are_read_together() -> None:
    """Monotonic, wall and boot time; boot time is never behind the monotonic."""
    monotonic_ns, realtime_ns, boottime_ns = clock_triple_ns()
    assert monotonic_ns <= time.monotonic_ns()
    assert abs(ns_to_s(realtime_ns) - utc_now().timestamp()) < 60
    assert boottime_ns >= monotonic_ns


def test_without_a_boot_clock_the_monotonic_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without it never looks suspended."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monotonic_ns, _, boottime_ns = clock_triple_ns()
    assert monotonic_ns == boottime_ns


def test_this_boot_has_a_name() -> None:
    """It stays the same while the machine is up, and so do namespaces; an unknown kind has none."""
    assert boot_id() == boot_id() != ""
    assert namespace_inode("pid") == namespace_inode("pid")
    assert namespace_inode("no such kind") is None


def test_wall_time_knows_its_zone() -> None:
    """Names and provenance are in UTC."""
    assert utc_now().tzinfo is UTC


# --- errors and public names


def test_every_error_is_ours_and_has_a_hint() -> None:
    """One tree; each may say what helps."""
    made = [
        errors.ConfigError("a", hint="h"),
        errors.BackendError("a", hint="h"),
        errors.PreFlightError(("a",), hint="h"),
        errors.ExperimentError("a", kind="killed", config={"n": 1}, log_tail="t", hint="h"),
        errors.StudyError("a", failed=1, succeeded=2, hint="h"),
        errors.EnergyError("a", hint="h"),
        errors.StoreError("a", hint="h"),
    ]
    assert all(isinstance(error, errors.LLEMError) and error.hint == "h" for error in made)
    assert errors.LLEMError("a").hint == ""


def test_a_pre_flight_error_lists_every_problem() -> None:
    """Not only the first."""
    error = errors.PreFlightError(("no engine", "no model"))
    assert error.problems == ("no engine", "no model")
    assert "no engine" in str(error) and "no model" in str(error)


def test_failures_carry_their_facts() -> None:
    """A program reads what a person reads."""
    failed = errors.ExperimentError("it was killed", kind="killed", config={"n": 1}, log_tail="Killed")
    assert (str(failed), failed.kind, failed.config, failed.log_tail) == ("it was killed", "killed", {"n": 1}, "Killed")
    study = errors.StudyError("nothing ran", failed=3)
    assert (study.failed, study.succeeded) == (3, 0)


@pytest.mark.parametrize("name", llenergymeasure.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """What the package announces can be had."""
    assert getattr(llenergymeasure, name) is not None


def test_no_other_name_is_there() -> None:
    """A name that is not public is an ordinary attribute error."""
    with pytest.raises(AttributeError, match="no attribute 'run_everything'"):
        llenergymeasure.run_everything  # noqa: B018
