"""What holds for any work of a virtual board and any sensor on it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.testing.virtual_gpu.sensor import Sensor
from llenergymeasure.testing.virtual_gpu.workload import LoadPhase, Thermal, Workload
from llenergymeasure.units import NS_PER_S, s_to_ns

_BEGIN_NS = 1000 * NS_PER_S
_LENGTH_NS = 4 * NS_PER_S

_phases = st.builds(
    LoadPhase,
    length_s=st.floats(0.1, 2.0),
    power_w=st.floats(150.0, 700.0),
    swing_w=st.floats(0.0, 100.0),
    step_s=st.floats(0.02, 0.5),
)
_heat = st.builds(
    Thermal,
    parts=st.lists(st.tuples(st.floats(0.01, 0.1), st.floats(0.5, 60.0)), max_size=2).map(tuple),
    leakage_w_per_k=st.floats(0.0, 2.0),
)
_edges = st.tuples(*[st.integers(_BEGIN_NS - NS_PER_S, _BEGIN_NS + _LENGTH_NS)] * 2).map(sorted)


@st.composite
def _works(draw: st.DrawFn) -> Workload:
    work = Workload.of(_BEGIN_NS, draw(st.lists(_phases, min_size=1, max_size=4)), draw(_heat))
    if draw(st.booleans()):
        work = work.plus(*draw(_edges), 80.0)
    if draw(st.booleans()):
        work = work.capped(*draw(_edges), draw(st.floats(100.0, 400.0)))
    return work


@settings(max_examples=60, deadline=None)
@given(work=_works(), edges=_edges)
def test_the_truth_is_the_integral_of_power(work: Workload, edges: list[int]) -> None:
    """The closed form agrees with a sum over slices of a tenth of a millisecond, but for those in which power jumps."""
    begin_ns, end_ns = edges
    slices = (end_ns - begin_ns) // 100_000 + 1
    width_ns = (end_ns - begin_ns) / slices
    middle_ns = (begin_ns + (np.arange(slices) + 0.5) * width_ns).astype(np.int64)
    summed_j = float(work.power_w(middle_ns).sum()) * width_ns / NS_PER_S
    # A jump of at most 800 W is misplaced by half a slice; there are at most two a step, and some at edges of pieces.
    jumps = 2 * (end_ns - begin_ns) / s_to_ns(0.02) + 12
    assert math.isclose(work.truth_j(begin_ns, end_ns), summed_j, rel_tol=1e-6, abs_tol=800 * 0.5e-4 * jumps)


@settings(max_examples=60, deadline=None)
@given(work=_works(), edges=_edges, part=st.floats(0.0, 1.0))
def test_true_energies_add_up_and_are_positive(work: Workload, edges: list[int], part: float) -> None:
    """The truth of two adjoining intervals is that of both together, and power is never below nothing."""
    begin_ns, end_ns = edges
    middle_ns = begin_ns + int(part * (end_ns - begin_ns))
    parts_j = [work.truth_j(begin_ns, middle_ns), work.truth_j(middle_ns, end_ns)]
    assert min(parts_j) >= 0
    assert math.isclose(sum(parts_j), work.truth_j(begin_ns, end_ns), rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=60, deadline=None)
@given(work=_works(), edges=_edges)
def test_other_work_adds_exactly_its_energy(work: Workload, edges: list[int]) -> None:
    """Without leakage, 80 W more between two instants are 80 W times that time."""
    cold = Workload(work.pieces)
    begin_ns, end_ns = edges
    more = cold.plus(begin_ns, end_ns, 80.0)
    # Before the first piece power is as at its begin: what is added begins with it.
    length_s = (end_ns - max(begin_ns, _BEGIN_NS)) / NS_PER_S
    added_j = more.truth_j(_BEGIN_NS, end_ns) - cold.truth_j(_BEGIN_NS, end_ns)
    assert math.isclose(added_j, 80.0 * max(length_s, 0.0), abs_tol=1e-6)


@settings(max_examples=30, deadline=None)
@given(work=_works(), tick_s=st.sampled_from([0.01, 0.02, 0.1]), lag_s=st.floats(0.0, 0.1), phase_s=st.floats(0.0, 0.1))
def test_an_ideal_counter_counts_the_truth(work: Workload, tick_s: float, lag_s: float, phase_s: float) -> None:
    """Between any two ticks a counter of full duty, gain 1 and no noise holds the true energy, as late as its lag."""
    sensor = Sensor(tick_s, tick_s, lag_s=lag_s, noise_w=0.0, phase_s=phase_s)
    seen = sensor.counter(work, _BEGIN_NS, _BEGIN_NS + _LENGTH_NS)
    lag_ns = s_to_ns(lag_s)
    true_j = work.truth_j(int(seen.t_ns[0]) - lag_ns, int(seen.t_ns[-1]) - lag_ns)
    assert (np.diff(seen.t_ns) > 0).all()
    assert math.isclose((seen.milli[-1] - seen.milli[0]) / 1000, true_j, abs_tol=0.002)


@settings(max_examples=30, deadline=None)
@given(
    work=_works(),
    gain=st.floats(0.95, 1.05),
    offset_w=st.floats(-2.0, 2.0),
    window_s=st.sampled_from([0.025, 0.1, 1.0]),
)
def test_power_is_the_mean_of_the_window_before_the_tick(
    work: Workload, gain: float, offset_w: float, window_s: float
) -> None:
    """Each value is gain times the true mean of its window, plus the offset, to the milliwatt."""
    sensor = Sensor(0.1, window_s, gain=gain, offset_w=offset_w, noise_w=0.0)
    seen = sensor.power(work, _BEGIN_NS, _BEGIN_NS + _LENGTH_NS)
    for tick_ns, milli in list(zip(seen.t_ns.tolist(), seen.milli.tolist(), strict=True))[::7]:
        mean_w = work.truth_j(tick_ns - s_to_ns(window_s), tick_ns) / window_s
        assert math.isclose(milli / 1000, gain * mean_w + offset_w, abs_tol=0.001)


@settings(max_examples=30, deadline=None)
@given(work=_works(), seed=st.integers(0, 2**31))
def test_a_board_is_the_same_each_time(work: Workload, seed: int) -> None:
    """Noise and jitter follow from the seed alone."""
    sensor = Sensor(0.02, 0.02, seed=seed)
    once, again = (sensor.power(work, _BEGIN_NS, _BEGIN_NS + _LENGTH_NS) for _ in range(2))
    other = dataclasses.replace(sensor, seed=seed + 1).power(work, _BEGIN_NS, _BEGIN_NS + _LENGTH_NS)
    assert (once.t_ns == again.t_ns).all() and (once.milli == again.milli).all()
    assert (once.milli != other.milli).any()
