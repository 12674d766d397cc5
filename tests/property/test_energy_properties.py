"""What holds for the energy of any window."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.analyse.energy import Joules, NoEnergy, energy_of, series_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Reading, Readings
from llenergymeasure.testing.simulated_source import SinePower
from llenergymeasure.units import NS_PER_S

_MODEL = CpuPowerModel(4, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "made up")
_KINDS: tuple[ChannelKind, ...] = ("counter", "power_instant", "power_mean", "model")
_LENGTH_S = 60
_POLL_NS = 50_000_000

_truths = st.builds(
    SinePower,
    mean_w=st.floats(50.0, 500.0),
    swing_w=st.floats(0.0, 40.0),
    period_s=st.floats(1.0, 20.0),
)
_inner_ns = st.integers(5 * NS_PER_S, 55 * NS_PER_S)


def _channel(kind: ChannelKind) -> Channel:
    return Channel(
        0,
        "test",
        "gpu",
        "GPU-1",
        "x",
        kind,
        "J",
        50.0,
        update_period_s=0.05,
        averaging_s={"power_instant": 0.05, "power_mean": 1.0}.get(kind),
        cpu_power_model=_MODEL if kind == "model" else None,
    )


def _value(kind: ChannelKind, truth: SinePower, t_ns: int) -> float:
    if kind == "counter":
        return truth.energy_j(0, t_ns)
    if kind == "model":
        return truth.energy_j(0, t_ns) / 200.0
    width_ns = _POLL_NS if kind == "power_instant" else NS_PER_S
    return truth.energy_j(t_ns - width_ns, t_ns) / (width_ns / NS_PER_S)


def _readings(kind: ChannelKind, truth: SinePower, shift_ns: int = 0) -> Readings:
    times_ns = range(0, _LENGTH_S * NS_PER_S + 1, _POLL_NS)
    return Readings.of(Reading(t_ns + shift_ns, 1000, 0, _value(kind, truth, t_ns)) for t_ns in times_ns)


def _energy(kind: ChannelKind, readings: Readings, begin_ns: int, end_ns: int) -> Joules | NoEnergy:
    return energy_of(_channel(kind), series_of(readings, 0), Interval(begin_ns, end_ns))


@settings(max_examples=25, deadline=None)
@given(kind=st.sampled_from(["counter", "power_instant", "model"]), truth=_truths, edges=st.tuples(*[_inner_ns] * 3))
def test_windows_add_up(kind: ChannelKind, truth: SinePower, edges: tuple[int, int, int]) -> None:
    """The energy of two adjoining windows is the energy of both together."""
    first, middle, last = sorted(edges)
    readings = _readings(kind, truth)
    parts = [_energy(kind, readings, first, middle), _energy(kind, readings, middle, last)]
    whole = _energy(kind, readings, first, last)
    if not isinstance(whole, Joules) or not all(isinstance(part, Joules) for part in parts):
        assert min(middle - first, last - middle) < NS_PER_S, "only short windows are refused"
        return
    total = sum(part.energy_j for part in parts if isinstance(part, Joules))
    assert math.isclose(total, whole.energy_j, rel_tol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(_KINDS),
    truth=_truths,
    begin_ns=st.integers(5 * NS_PER_S, 20 * NS_PER_S),
    length_ns=st.integers(11 * NS_PER_S, 30 * NS_PER_S),
    shift_ns=st.integers(0, 10**17),
)
def test_a_shift_of_time_changes_nothing(
    kind: ChannelKind, truth: SinePower, begin_ns: int, length_ns: int, shift_ns: int
) -> None:
    """When readings and window are later by the same time, the energy is the same."""
    here = _energy(kind, _readings(kind, truth), begin_ns, begin_ns + length_ns)
    there = _energy(kind, _readings(kind, truth, shift_ns), begin_ns + shift_ns, begin_ns + length_ns + shift_ns)
    assert isinstance(here, Joules) and isinstance(there, Joules)
    assert math.isclose(here.energy_j, there.energy_j, rel_tol=1e-6)
    assert math.isclose(here.high_j, there.high_j, rel_tol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["counter", "power_instant"]),
    truth=_truths,
    begin_ns=st.integers(5 * NS_PER_S, 20 * NS_PER_S),
    length_ns=st.integers(NS_PER_S, 30 * NS_PER_S),
)
def test_a_perfect_sensor_gives_the_truth_within_its_interval(
    kind: ChannelKind, truth: SinePower, begin_ns: int, length_ns: int
) -> None:
    """Closed-form energy of a swinging load, for windows of a second and more."""
    found = _energy(kind, _readings(kind, truth), begin_ns, begin_ns + length_ns)
    assert isinstance(found, Joules)
    true_j = truth.energy_j(begin_ns, begin_ns + length_ns)
    assert math.isclose(found.energy_j, true_j, rel_tol=0.02)
    assert found.low_j <= true_j <= found.high_j


@settings(max_examples=25, deadline=None)
@given(
    rates=st.lists(st.floats(0.0, 6.0), min_size=20, max_size=20),
    begin_ns=st.integers(NS_PER_S, 8 * NS_PER_S),
    length_ns=st.integers(NS_PER_S, 10 * NS_PER_S),
)
def test_a_model_stays_within_idle_and_rated_power(rates: list[float], begin_ns: int, length_ns: int) -> None:
    """Whatever the processes did, the interval is ordered and lies between the lowest idle and the highest rated power."""
    used_s, readings = 0.0, []
    for second, rate in enumerate([*rates, 0.0]):
        readings.append(Reading(second * NS_PER_S, 1000, 0, used_s))
        used_s += rate
    found = _energy("model", Readings.of(readings), begin_ns, begin_ns + length_ns)
    assert isinstance(found, Joules)
    duration_s = length_ns / NS_PER_S
    assert 10.0 * 0.1 * duration_s <= found.low_j * (1 + 1e-9)
    assert found.low_j <= found.energy_j <= found.high_j <= 40.0 * duration_s * (1 + 1e-9)
