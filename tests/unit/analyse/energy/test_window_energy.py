"""Energy of a window from one channel's readings, against a truth that the test knows."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from llenergymeasure.analyse.energy.series import Joules, NoEnergy, Series, series_of
from llenergymeasure.analyse.energy.window import energy_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Reading, Readings, Status
from llenergymeasure.units import NS_PER_S

_S = NS_PER_S
_MODEL = CpuPowerModel(4, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "made up")

Energy = Callable[[float], float]


def _channel(kind: ChannelKind, **more: float) -> Channel:
    return Channel(
        0,
        "test",
        "gpu",
        "GPU-1",
        "x",
        kind,
        "J",
        50.0,
        cpu_power_model=_MODEL if kind == "model" else None,
        **more,  # type: ignore[arg-type]
    )


def _polled(
    value: Callable[[float], float], until_s: float, poll_s: float = 0.02, begin_s: float = 0.0
) -> list[Reading]:
    """``value`` read at a steady rate."""
    count = round((until_s - begin_s) / poll_s) + 1
    times_s = [begin_s + step * poll_s for step in range(count)]
    return [Reading(round(t_s * _S), 1000, 0, value(t_s)) for t_s in times_s]


def _series(readings: list[Reading]) -> Series:
    return series_of(Readings.of(readings), 0)


def _over(begin_s: float, end_s: float) -> Interval:
    return Interval(round(begin_s * _S), round(end_s * _S))


def _joules(channel: Channel, readings: list[Reading], over: Interval) -> Joules:
    found = energy_of(channel, _series(readings), over)
    assert isinstance(found, Joules), found
    return found


def _term(found: Joules, name: str) -> float:
    return dict(found.terms)[name]


def _refusal(channel: Channel, readings: list[Reading], over: Interval) -> NoEnergy:
    found = energy_of(channel, _series(readings), over)
    assert isinstance(found, NoEnergy), found
    return found


def _work(
    t_s: float, begin_s: float = 10.0, end_s: float = 20.0, idle_w: float = 120.0, work_w: float = 500.0
) -> float:
    """Cumulative joules of work between two idles."""
    worked_s = min(max(t_s - begin_s, 0.0), end_s - begin_s)
    return idle_w * t_s + (work_w - idle_w) * worked_s


def _ticking(energy_j: Energy, tick_s: float = 0.1) -> Energy:
    return lambda t_s: energy_j(math.floor(t_s / tick_s + 1e-9) * tick_s)


def _updated(energy_j: Energy, period_s: float, averaging_s: float) -> Energy:
    """Power published each ``period_s``: the mean over the ``averaging_s`` before."""

    def power_w(t_s: float) -> float:
        at_s = math.floor(t_s / period_s + 1e-9) * period_s
        return (energy_j(at_s) - energy_j(at_s - averaging_s)) / averaging_s

    return power_w


class TestCounter:
    """Cumulative joules that move in ticks."""

    def test_a_steady_load_is_exact_though_edges_fall_between_ticks(self) -> None:
        """Edges are interpolated between the instants at which the counter moved."""
        found = _joules(_channel("counter"), _polled(_ticking(lambda t: 300 * t), 30), _over(7.03, 17.06))
        assert found.energy_j == pytest.approx(300 * 10.03, rel=2e-3)

    def test_the_interval_holds_the_truth_when_work_lies_between_idles(self) -> None:
        """Edges where the power jumps are the worst case, and the stated interval allows for them."""
        for shift_s in (0.0, 0.013, 0.05, 0.087):
            begin_s, end_s = 10 + shift_s, 20 + shift_s
            readings = _polled(_ticking(lambda t, b=begin_s, e=end_s: _work(t, b, e)), 30)
            found = _joules(_channel("counter"), readings, _over(begin_s, end_s))
            assert found.low_j <= 5000.0 <= found.high_j
            assert found.energy_j == pytest.approx(5000.0, rel=0.01)

    def test_the_counter_is_read_at_the_ticks_and_not_beside_them(self) -> None:
        """A window that begins in work and ends in idle gets the joules of both."""
        found = _joules(_channel("counter"), _polled(_ticking(_work), 30), _over(12, 25))
        assert found.energy_j == pytest.approx(8 * 500 + 5 * 120, rel=2e-3)

    def test_the_brackets_of_ticks_are_the_edges(self) -> None:
        """Reads that are farther apart know a tick less well; half a millisecond is known to a ten-thousandth of ten seconds."""
        widths_s = (0.0005, 0.02, 0.05)
        found = [
            _joules(
                _channel("counter", lag_s=0.0, duty=1.0),
                _polled(_ticking(lambda t: 300 * t), 16, width_s),
                _over(3, 13),
            )
            for width_s in widths_s
        ]
        edges = [_term(one, "u_edge") for one in found]
        assert edges == sorted(edges)
        assert edges[0] < 1e-4
        assert edges[1] == pytest.approx(0.02 / math.sqrt(6) / 10, rel=0.6)

    def test_work_between_idles_is_known_to_the_brackets(self) -> None:
        """Edges where the power jumps lie between ticks, and the power outside tells what belongs there."""
        channel = _channel("counter", lag_s=0.0, duty=1.0)
        for shift_s in (0.0, 0.013, 0.05, 0.087):
            begin_s, end_s = 10 + shift_s, 11 + shift_s
            readings = _polled(_ticking(lambda t, b=begin_s, e=end_s: _work(t, b, e)), 14, 0.001, 7.0)
            found = _joules(channel, readings, _over(begin_s, end_s))
            assert found.energy_j == pytest.approx(500.0, rel=1e-3)
            assert _term(found, "u_edge") < 2e-3

    def test_a_known_lag_moves_all_ticks(self) -> None:
        """A counter that is 70 ms late is as good as one that is not."""
        readings = _polled(lambda t: _ticking(_work)(t - 0.07), 30, 0.002, 5.0)
        found = _joules(_channel("counter", lag_s=0.07, duty=1.0), readings, _over(10, 20))
        assert found.energy_j == pytest.approx(5000.0, rel=2e-4)

    def test_a_lag_that_is_not_known_widens_the_interval_when_power_falls_at_the_end(self) -> None:
        """Work before and idle after: the energy that shows too late is missing, and the interval says so."""
        readings = _polled(lambda t: _ticking(lambda s: _work(s, 5, 20))(t - 0.07), 25, 0.002, 6.0)
        found = _joules(_channel("counter", duty=1.0, stated_error=0.0), readings, _over(18, 20))
        assert abs(found.energy_j / 1000 - 1) > 0.02
        assert found.low_j <= 1000.0 <= found.high_j

    def test_a_failed_read_widens_a_tick_and_does_not_shift_it(self) -> None:
        """Reads fail around the edge: the tick there came at any time in between, and the truth is held."""
        channel = _channel("counter", lag_s=0.0, duty=1.0, stated_error=0.0)
        readings = [r for r in _polled(_ticking(_work), 30, 0.002, 5.0) if not 9.7 * _S < r.t_ns < 10.06 * _S]
        found = _joules(channel, readings, _over(10, 20))
        whole = _joules(channel, _polled(_ticking(_work), 30, 0.002, 5.0), _over(10, 20))
        assert found.low_j <= 5000.0 <= found.high_j
        assert _term(found, "u_edge") > _term(whole, "u_edge")

    def test_reads_of_a_fast_counter_are_ticks(self) -> None:
        """A value that is at most a millisecond old needs no tracking: 50 ms between reads are no uncertainty of 50 ms."""
        channel = _channel("counter", update_period_s=0.001, duty=1.0)
        found = _joules(channel, _polled(_ticking(_work, 0.001), 30, 0.05, 5.0), _over(10.013, 20))
        assert found.energy_j == pytest.approx(500 * 9.987, rel=1e-3)
        assert _term(found, "u_edge") < 1e-3

    def test_work_shorter_than_the_stretch_beside_the_window_does_no_harm(self) -> None:
        """Warm-up of 0.4 s after idle: only its own ticks say how much power ran into the window."""
        readings = _polled(_ticking(lambda t: _work(t, 9.6, 20)), 30, 0.002, 5.0)
        found = _joules(_channel("counter", lag_s=0.0, duty=1.0), readings, _over(10.03, 20))
        assert found.energy_j == pytest.approx(500 * 9.97, rel=3e-4)

    def test_a_counter_that_stood_still_for_a_while_and_lost_it_is_not_sure(self) -> None:
        """Two seconds of ten are missing: the interval holds what was used all the same."""
        readings = _polled(_ticking(lambda t: 300 * (min(t, 12.0) + max(t - 14.0, 0.0))), 30, 0.01)
        found = _joules(_channel("counter", lag_s=0.0, stated_error=0.0), readings, _over(10, 20))
        assert found.energy_j < 2600
        assert found.high_j >= 3000.0

    def test_a_gap_inside_the_window_costs_nothing_but_is_reported(self) -> None:
        """The counter went on counting while nobody read it."""
        readings = [r for r in _polled(_ticking(lambda t: 300 * t), 30) if not 12 * _S < r.t_ns < 15 * _S]
        found = _joules(_channel("counter"), readings, _over(5, 25))
        assert found.energy_j == pytest.approx(6000.0, rel=2e-3)
        assert found.largest_gap_s == pytest.approx(3.0)

    def test_a_counter_that_falls_within_the_window_is_refused(self) -> None:
        """A reset is reported as one, and no energy is made of it."""
        readings = _polled(lambda t: 300 * t if t < 12 else 300 * (t - 12), 30)
        refusal = _refusal(_channel("counter"), readings, _over(5, 25))
        assert refusal.reset
        assert "fell" in refusal.reason

    def test_a_counter_that_fell_before_the_window_still_measures_it(self) -> None:
        """What counts is what happened between the ticks around the window."""
        readings = _polled(lambda t: 1000 + 300 * t if t < 3 else 300 * (t - 3), 30)
        assert _joules(_channel("counter"), readings, _over(5, 25)).energy_j == pytest.approx(6000.0)

    def test_a_counter_that_stands_still_is_refused(self) -> None:
        """No energy used is not what a stuck counter means."""
        assert "does not move" in _refusal(_channel("counter"), _polled(lambda t: 5000.0, 30), _over(5, 25)).reason

    def test_a_window_of_a_few_ticks_is_refused(self) -> None:
        """Its edges would say more than the window."""
        readings = _polled(_ticking(lambda t: 300 * t), 30)
        assert "too short" in _refusal(_channel("counter"), readings, _over(5, 5.4)).reason

    def test_a_window_that_the_readings_do_not_cover_is_refused(self) -> None:
        """Readings that end before the window does, or begin after it began."""
        readings = _polled(_ticking(lambda t: 300 * t), 20)
        assert "do not cover" in _refusal(_channel("counter"), readings, _over(5, 25)).reason
        late = _polled(_ticking(lambda t: 300 * t), 30, begin_s=6)
        assert "do not cover" in _refusal(_channel("counter"), late, _over(5, 25)).reason

    def test_failed_reads_are_no_values(self) -> None:
        """NaN between good readings changes nothing; failures alone are named."""
        good = _polled(_ticking(lambda t: 300 * t), 30)
        failed = [Reading(r.t_ns + 1000, 1000, 0, math.nan, Status.FAILED) for r in good]
        mixed = sorted([*good, *failed], key=lambda r: r.t_ns)
        assert _joules(_channel("counter"), mixed, _over(5, 25)).energy_j == pytest.approx(6000.0, rel=2e-3)
        assert "reads failed" in _refusal(_channel("counter"), failed, _over(5, 25)).reason

    def test_the_stated_error_is_the_gain(self) -> None:
        """±5 %, rectangular, is a standard uncertainty of 2.9 %."""
        found = _joules(_channel("counter", stated_error=0.05), _polled(_ticking(lambda t: 300 * t), 30), _over(5, 25))
        assert _term(found, "u_gain") == pytest.approx(0.0289, abs=1e-4)
        assert found.high_j - found.energy_j == pytest.approx(1.96 * 0.0289 * 6000, rel=0.01)


class TestInstantPower:
    """Power samples, each the mean over its own averaging time."""

    def test_work_between_idles_is_found_whole(self) -> None:
        """Samples stand for the time before they were published: the rise at the begin is not lost."""
        readings = _polled(_updated(_work, 0.1, 0.1), 30)
        found = _joules(_channel("power_instant", update_period_s=0.1, averaging_s=0.1), readings, _over(10, 20))
        assert found.energy_j == pytest.approx(5000.0, rel=5e-3)

    def test_the_update_period_is_taken_from_the_samples_when_it_is_not_known(self) -> None:
        """How often the value changes tells how long it stands."""

        def rippled(t: float) -> float:
            return _work(t) + 3 * math.sin(2 * math.pi * t / 0.73)

        readings = _polled(_updated(rippled, 0.1, 0.1), 30)
        found = _joules(_channel("power_instant"), readings, _over(10, 20))
        assert found.energy_j == pytest.approx(rippled(20) - rippled(10), rel=5e-3)

    def test_the_lag_moves_samples_back(self) -> None:
        """A sensor that is half a second late is read half a second later."""
        readings = _polled(lambda t: _updated(_work, 0.1, 0.1)(t - 0.5), 30)
        channel = _channel("power_instant", update_period_s=0.1, averaging_s=0.1, lag_s=0.5)
        assert _joules(channel, readings, _over(10, 20)).energy_j == pytest.approx(5000.0, rel=5e-3)

    def test_a_constant_power_is_no_missing_power(self) -> None:
        """Repeated values are values."""
        found = _joules(_channel("power_instant"), _polled(lambda t: 300.0, 30), _over(5, 25))
        assert found.energy_j == pytest.approx(6000.0)

    def test_a_gap_is_not_filled_by_the_sample_before_it(self) -> None:
        """Three seconds without a sample in a window of twenty leave 85 % of it covered, which is refused."""
        readings = [r for r in _polled(lambda t: 300.0, 30) if not 12 * _S < r.t_ns < 15 * _S]
        assert "cover 85 % of the window" in _refusal(_channel("power_instant"), readings, _over(5, 25)).reason

    def test_a_short_gap_is_taken_as_the_rest(self) -> None:
        """Below one per cent what is missing is filled with the mean."""
        readings = [r for r in _polled(lambda t: 300.0, 30) if not 12 * _S < r.t_ns < 12.15 * _S]
        assert _joules(_channel("power_instant"), readings, _over(5, 25)).energy_j == pytest.approx(6000.0)

    def test_a_window_of_a_few_samples_is_refused(self) -> None:
        """0.4 s of a sensor that is updated each 0.1 s."""
        channel = _channel("power_instant", update_period_s=0.1)
        assert "too short" in _refusal(channel, _polled(lambda t: 300.0, 30), _over(5, 5.4)).reason

    def test_no_power_is_no_energy(self) -> None:
        """Zeros that slipped through every check do not become 0 J."""
        assert (
            "is not an energy" in _refusal(_channel("power_instant"), _polled(lambda t: 0.0, 30), _over(5, 25)).reason
        )


class TestMeanPower:
    """Power that is the mean of the second before."""

    _CHANNEL = _channel("power_mean", averaging_s=1.0)

    def test_work_between_idles_is_found_whole_with_the_tail(self) -> None:
        """The mean goes on falling for a second after the work; what is in the tail belongs to the window."""
        readings = _polled(_updated(_work, 0.02, 1.0), 30)
        assert _joules(self._CHANNEL, readings, _over(10, 20)).energy_j == pytest.approx(5000.0, rel=5e-3)

    def test_windows_below_ten_averages_are_refused(self) -> None:
        """Nine seconds are too short for a mean over one."""
        readings = _polled(_updated(_work, 0.02, 1.0), 30)
        assert "too short" in _refusal(self._CHANNEL, readings, _over(10, 19)).reason

    def test_readings_that_end_with_the_window_are_refused(self) -> None:
        """Without the tail the last second is not known."""
        readings = _polled(_updated(_work, 0.02, 1.0), 20.5)
        assert "end before" in _refusal(self._CHANNEL, readings, _over(10, 20)).reason

    def test_a_gap_longer_than_the_average_is_refused(self) -> None:
        """What happened in it left no trace."""
        readings = [r for r in _polled(_updated(_work, 0.02, 1.0), 30) if not 12 * _S < r.t_ns < 13.5 * _S]
        assert "without a reading" in _refusal(self._CHANNEL, readings, _over(10, 20)).reason


class TestModel:
    """Bounds from CPU time."""

    def test_bounds_follow_from_the_models_bounds(self) -> None:
        """Two of four CPUs busy for ten seconds: both ends of the interval, computed by hand."""
        found = _joules(_channel("model"), _polled(lambda t: 2 * t, 30, poll_s=0.1), _over(5, 15))
        low_j = 10 * (0.1 + 0.9 * 0.5) * 10
        high_j = 40 * (0.3 + 0.7 * math.sqrt(0.5)) * 10
        assert (found.low_j, found.high_j) == pytest.approx((low_j, high_j))
        assert found.energy_j == pytest.approx((low_j + high_j) / 2)

    def test_no_work_costs_idle_power(self) -> None:
        """A process that sleeps is charged the idle share."""
        found = _joules(_channel("model"), _polled(lambda t: 0.0, 30, poll_s=0.1), _over(5, 15))
        assert (found.low_j, found.high_j) == pytest.approx((10 * 0.1 * 10, 40 * 0.3 * 10))

    def test_full_use_is_the_rated_power(self) -> None:
        """All CPUs busy leaves only the bounds of P_max; more than all is not believed."""
        for rate in (4.0, 4.4):
            found = _joules(_channel("model"), _polled(lambda t, r=rate: r * t, 30, poll_s=0.1), _over(5, 15))
            assert (found.low_j, found.high_j) == pytest.approx((100.0, 400.0))

    def test_a_model_has_no_uncertainty_of_a_meter(self) -> None:
        """Neither gain nor edges."""
        found = _joules(_channel("model"), _polled(lambda t: t, 30, poll_s=0.1), _over(5, 15))
        assert found.terms == ()


def test_other_quantities_are_no_energy() -> None:
    """A temperature over a window is refused by its kind."""
    assert "temperature" in _refusal(_channel("temperature"), _polled(lambda t: 40.0, 30), _over(5, 15)).reason


def test_the_series_of_a_channel_is_its_own() -> None:
    """Readings of other channels are left out, failures are counted."""
    readings = Readings.of(
        [Reading(1, 0, 0, 1.0), Reading(2, 0, 1, 9.0), Reading(3, 0, 0, math.nan, Status.FAILED), Reading(4, 0, 0, 2.0)]
    )
    found = series_of(readings, 0)
    assert (found.t_ns.tolist(), found.value.tolist(), found.failed) == ([1, 4], [1.0, 2.0], 1)
    assert len(series_of(Readings(), 0).t_ns) == 0


def test_a_sensor_that_states_no_error_is_not_taken_for_exact() -> None:
    """Its gain is as uncertain as the usual ±5 %, not certain."""
    readings = _polled(lambda t: 100 * t, 20, 0.1)
    unknown = _joules(_channel("counter"), readings, _over(1, 15))
    exact = _joules(_channel("counter", stated_error=0.0), readings, _over(1, 15))
    assert _term(unknown, "u_gain") == pytest.approx(0.05 / 3**0.5)
    assert _term(exact, "u_gain") == 0.0
    assert unknown.high_j - unknown.low_j > exact.high_j - exact.low_j
