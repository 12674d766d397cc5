"""The intervals of one trial, and the budget whose lines make them."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Callable

import numpy as np
import pytest

from llenergymeasure.analyse.statistics import t_975
from llenergymeasure.analyse.trial import analyse
from llenergymeasure.model.event import WarmupDone
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.testing.builders import marks, request_record, session_facts, trace
from llenergymeasure.units import NS_PER_S, s_to_ns

_COUNTER = Channel(0, "s", "gpu", "GPU-1", "a board", "counter", "J", 50.0, stated_error=0.05)
_HEAT = Channel(1, "s", "gpu", "GPU-1", "a board", "temperature", "°C", 1.0)
_STEADY = WarmupDone(5, 1.0, True, 0.01, "pool")


def _trace(
    watts: Callable[[float], float] = lambda t_s: 300.0,
    heat: Callable[[float], float] = lambda t_s: 60.0,
    *,
    length_s: float = 20.0,
    warmup: WarmupDone = _STEADY,
    observed: bool = True,
) -> Trace:
    """A counter read at 50 Hz that ticks at each read, rests of 60 W before and after, a token each 5 ms in the window."""
    begin_s, end_s = 8.0, 8.0 + length_s
    readings, energy_j = [], 1000.0
    for step in range(int((end_s + 3) * 50)):
        t_s = step / 50
        energy_j += (watts(t_s) if begin_s - 1 < t_s <= end_s else 60.0 + 0.5 * math.sin(9 * t_s)) / 50
        readings.append(Reading(s_to_ns(t_s), 1000, 0, energy_j))
        if step % 50 == 0:
            readings.append(Reading(s_to_ns(t_s), 1000, 1, heat(t_s)))
    generator = np.random.default_rng(1)
    times = np.sort(generator.uniform(begin_s, end_s, int(200 * length_s)))
    tokens = array("q", (times * NS_PER_S).astype(np.int64).tolist())
    request = request_record(output_tokens=len(times), submitted_ns=s_to_ns(begin_s))
    request = dataclasses.replace(request, token_t_ns=tokens if observed else array("q"), finished_ns=tokens[-1])
    return trace(
        (request,),
        readings,
        channels=(_COUNTER, _HEAT),
        session=session_facts(device_ids=("GPU-1",)),
        marks=marks(("idle_loaded", 1, 6), ("window", begin_s, end_s), ("quiet", end_s, end_s + 2)),
        warmup=warmup,
    )


def _half_by_lines(result: ExperimentResult, interval: str) -> float:
    """The relative half-width that the stored lines make, worked out anew."""
    lines = [line for line in result.uncertainty_budget if interval in line.intervals]
    u = math.sqrt(sum(line.relative**2 for line in lines))
    doubt = sum((line.relative / u) ** 4 / line.degrees_of_freedom for line in lines if line.degrees_of_freedom)
    return t_975(1 / doubt if doubt else math.inf) * u


def _half(quantity: Quantity, interval: str) -> float:
    found = getattr(quantity, interval)
    assert quantity.value is not None and found is not None
    return float(found.high - found.low) / 2


def test_the_stored_lines_add_up_to_both_intervals() -> None:
    """The squares of an interval's lines give its half-width, and those of net energy that of the difference."""
    result = analyse(_trace(heat=lambda t_s: 50 + t_s / 10, warmup=dataclasses.replace(_STEADY, steady=False)))
    per_token, net = result.energy_per_output_token_j, result.energy_adjusted_j
    assert per_token.value is not None
    for interval in ("repeatability", "absolute"):
        expected = _half_by_lines(result, interval) * per_token.value
        assert _half(per_token, f"{interval}_95") == pytest.approx(expected, rel=1e-12)
    assert result.energy_total_j.value is not None
    expected = _half_by_lines(result, "net") * result.energy_total_j.value
    assert _half(net, "repeatability_95") == pytest.approx(expected, rel=1e-12)
    names = {line.term: line for line in result.uncertainty_budget}
    assert {"u_gain", "u_edge", "u_thermal", "u_drift", "s_slices", "u_idle"} <= set(names)
    assert names["u_gain"].intervals == ("absolute",) and names["u_gain"].kind == "B"
    assert names["s_slices"].kind == "A" and names["s_slices"].degrees_of_freedom
    assert names["u_idle"].intervals == ("net",)


def test_a_single_run_has_the_interval_of_its_slices() -> None:
    """It says so, counts them, and differs for tokens and for power."""
    result = analyse(_trace())
    per_token, power = result.energy_per_output_token_j, result.mean_power_w
    assert per_token.n == power.n and per_token.n is not None and per_token.n >= 10
    assert "single run" in str(per_token.interval_reason)
    assert power.value is not None and per_token.value is not None
    # Power is steady and tokens come at random, about 100 a slice.
    assert _half(per_token, "repeatability_95") / per_token.value > 2 * _half(power, "repeatability_95") / power.value


def test_the_energy_of_the_window_itself_needs_no_slices() -> None:
    """It was metered: what repeats itself or not is no doubt about it."""
    result = analyse(_trace())
    assert result.energy_total_j.value is not None and result.energy_per_output_token_j.value is not None
    total = _half(result.energy_total_j, "repeatability_95") / result.energy_total_j.value
    assert total < _half(result.energy_per_output_token_j, "repeatability_95") / result.energy_per_output_token_j.value


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (_trace(length_s=4.0), "window too short for a within-run interval"),
        (_trace(observed=False), "does not observe every token"),
    ],
    ids=["short", "no stamps"],
)
def test_without_slices_there_is_no_repeatability(recorded: Trace, reason: str) -> None:
    """Edges alone are not how well the work repeats itself; the absolute interval holds what is known of the sensor."""
    result = analyse(recorded)
    per_token = result.energy_per_output_token_j
    assert per_token.repeatability_95 is None and reason in str(per_token.interval_reason)
    assert per_token.value is not None
    half = _half(per_token, "absolute_95")
    assert half == pytest.approx(_half_by_lines(result, "absolute") * per_token.value, rel=1e-12)
    assert not any("repeatability" in line.intervals for line in result.uncertainty_budget)


def test_drift_counts_where_the_warm_up_was_not_steady() -> None:
    """Power that rises by 10 % through the window leaves its mean uncertain by 10 %/√12."""
    rising = lambda t_s: 300.0 * (1 + 0.1 * (t_s - 18) / 20)  # noqa: E731
    lines = {line.term: line.relative for line in analyse(_trace(rising)).uncertainty_budget}
    assert "u_drift" not in lines
    unsteady = analyse(_trace(rising, warmup=dataclasses.replace(_STEADY, steady=False)))
    lines = {line.term: line.relative for line in unsteady.uncertainty_budget}
    assert lines["u_drift"] == pytest.approx(0.1 / math.sqrt(12), rel=0.03)


def test_warmth_is_recorded_counted_and_told() -> None:
    """Start temperature is kept; a rise of 6 °C costs 1.2 % of the power and is a remark, one of 1 °C is none."""
    warm, cool = analyse(_trace(heat=lambda t_s: 57.6 + 0.3 * t_s)), analyse(_trace(heat=lambda t_s: 60 + t_s / 20))
    assert warm.energy.start_temperature_c == {"GPU-1": pytest.approx(60.0)}
    lines = {line.term: line.relative for line in warm.uncertainty_budget}
    assert lines["u_thermal"] == pytest.approx(0.012 / math.sqrt(12), rel=1e-6)
    (told,) = [remark for remark in warm.validity.remarks if remark.code == "thermal_drift"]
    assert "60 to 66 °C" in told.evidence and "+1.2 %" in told.evidence
    assert not [remark for remark in cool.validity.remarks if remark.code == "thermal_drift"]
