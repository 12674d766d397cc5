"""What holds for the energy of any window."""

from __future__ import annotations

import dataclasses
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.energy.series import Joules, NoEnergy, series_of
from llenergymeasure.analyse.energy.window import energy_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Reading, Readings
from llenergymeasure.testing.simulated_source import SinePower
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import (
    COUNTER,
    INSTANT,
    USAGE,
    CallSpikes,
    Capped,
    CounterFalls,
    CounterReset,
    CounterStuck,
    Disappears,
    Fault,
    ForeignProcess,
    Refused,
    Stale,
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.workload import Workload
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
    """The energy of two adjoining windows is that of both together: exactly by a model, else to what their edges are known to."""
    first, middle, last = sorted(edges)
    readings = _readings(kind, truth)
    parts = [_energy(kind, readings, first, middle), _energy(kind, readings, middle, last)]
    whole = _energy(kind, readings, first, last)
    if not isinstance(whole, Joules) or not all(isinstance(part, Joules) for part in parts):
        assert min(middle - first, last - middle) < NS_PER_S, "only short windows are refused"
        return
    known = [part for part in (*parts, whole) if isinstance(part, Joules)]
    apart_j = abs(known[0].energy_j + known[1].energy_j - whole.energy_j)
    edges_j = math.hypot(
        *(one.energy_j * relative for one in known for name, relative in one.terms if name != "u_gain")
    )
    assert apart_j <= max(3 * edges_j, 1e-9 * whole.energy_j)
    assert apart_j <= 0.05 * (truth.mean_w + truth.swing_w)


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
    """Closed-form energy of a swinging load; a window of few swings is refused or wide, one of 10 s is within a few per cent.

    The interval holds 95 of 100: half as much again holds the worst phases.
    """
    found = _energy(kind, _readings(kind, truth), begin_ns, begin_ns + length_ns)
    if not isinstance(found, Joules):
        assert length_ns < 3 * NS_PER_S, "only short windows are refused"
        return
    true_j = truth.energy_j(begin_ns, begin_ns + length_ns)
    assert abs(found.energy_j - true_j) <= 1.5 * (found.high_j - found.low_j) / 2
    assert length_ns < 10 * NS_PER_S or math.isclose(found.energy_j, true_j, rel_tol=0.06)


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


_BEGIN_NS = VirtualClock().now_ns()
_ANY_NS = st.integers(_BEGIN_NS + NS_PER_S, _BEGIN_NS + 16 * NS_PER_S)
_FUNCTIONS = st.sampled_from([COUNTER, INSTANT, USAGE])


@st.composite
def _faults(draw: st.DrawFn) -> Fault:
    """Any fault at any time, before, around and within the window."""
    begin_ns = draw(_ANY_NS)
    end_ns = begin_ns + draw(st.integers(1_000_000, 6 * NS_PER_S))
    function = draw(_FUNCTIONS)
    return draw(
        st.sampled_from(
            [
                CounterReset(begin_ns),
                CounterFalls(begin_ns),
                CounterStuck(begin_ns),
                Zeros(function, begin_ns, end_ns),
                Stale(function, begin_ns, end_ns),
                Refused(function, begin_ns, end_ns),
                CallSpikes(seed=begin_ns % 1000),
                Disappears(begin_ns, end_ns),
                Disappears(begin_ns),
                ForeignProcess(begin_ns, end_ns),
                Capped(begin_ns, end_ns, 250.0),
            ]
        )
    )


@settings(max_examples=60, deadline=None)
@given(
    fault=_faults(),
    kind=st.sampled_from(_KINDS[:3]),
    tick_s=st.sampled_from([0.02, 0.1]),
    begin_ms=st.integers(4500, 5500),
)
def test_no_fault_makes_a_silent_error(fault: Fault, kind: ChannelKind, tick_s: float, begin_ms: int) -> None:
    """Whatever goes wrong with what is read: refused with a reason, or the interval holds the truth; never a zero."""
    clock = VirtualClock()
    board = H100_SXM
    work = Workload.of(_BEGIN_NS, (board.idle(2), board.decode(13, 0.0371), board.idle(5)), board.thermal)
    nvml = VirtualNvml(clock, VirtualGpu(board, work, board.sensors(tick_s, window_s=tick_s), faults=(fault,)))
    whole = metered(nvml, clock, 17.5)
    readout = dataclasses.replace(whole, channels=tuple(one for one in whole.channels if one.kind == kind))
    window = Interval(_BEGIN_NS + begin_ms * 1_000_000, _BEGIN_NS + 15 * NS_PER_S)
    total_j = energy_of_window(readout, window, 0.0371).total_j
    if total_j.value is None:
        assert total_j.reason
        return
    true_j = nvml.truth_j(0, window.begin_ns, window.end_ns)
    assert total_j.value > 0
    assert total_j.repeatability_95 is not None
    slack_j = 0.75 * (total_j.repeatability_95.high - total_j.repeatability_95.low)
    assert abs(total_j.value - true_j) <= max(slack_j, 2e-3 * true_j)
