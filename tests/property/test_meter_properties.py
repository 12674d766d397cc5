"""Whatever goes wrong with boards and their driver, what the meter writes down is what was shown at that instant, or no value."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pynvml
from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.model.reading import Status
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import (
    COUNTER,
    INSTANT,
    USAGE,
    CallSpikes,
    CounterFalls,
    CounterReset,
    Disappears,
    Fault,
    Refused,
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.metering import metered
from llenergymeasure.testing.virtual_gpu.presets import H200_SXM
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S, s_to_ns

_BEGIN_NS = VirtualClock().now_ns()
_LENGTH_S = 5.0

_instants = st.integers(_BEGIN_NS + NS_PER_S // 10, _BEGIN_NS + s_to_ns(_LENGTH_S))
_spans = st.tuples(_instants, _instants).map(sorted)
_functions = st.sampled_from([COUNTER, INSTANT, USAGE])
_codes = st.sampled_from(
    [
        int(pynvml.NVML_ERROR_NOT_SUPPORTED),
        int(pynvml.NVML_ERROR_UNKNOWN),
        int(pynvml.NVML_ERROR_TIMEOUT),
        int(pynvml.NVML_ERROR_GPU_IS_LOST),
    ]
)
_faults: st.SearchStrategy[Fault] = st.one_of(
    st.builds(lambda function, span: Zeros(function, *span), _functions, _spans),
    st.builds(lambda function, span, code: Refused(function, *span, code), _functions, _spans, _codes),
    st.builds(CallSpikes, st.floats(0, 0.1), st.integers(0, 99)),
    st.builds(CounterReset, _instants),
    st.builds(CounterFalls, _instants),
    st.builds(Disappears, _instants),
)


@settings(max_examples=25, deadline=None)
@given(
    faults=st.lists(_faults, max_size=4).map(tuple),
    tick_s=st.sampled_from([0.01, 0.02, 0.05, 0.1]),
    phase_s=st.floats(0, 0.1),
)
def test_a_value_is_what_was_shown_at_its_time(faults: tuple[Fault, ...], tick_s: float, phase_s: float) -> None:
    """A good reading of a counter or of power equals what the board showed at its instant, and is no zero; others are NaN."""
    clock = VirtualClock()
    work = Workload.of(_BEGIN_NS, [H200_SXM.idle(2), H200_SXM.decode(10)], H200_SXM.thermal)
    sensors = H200_SXM.sensors(tick_s, phase_s=phase_s)
    gpu = VirtualGpu(H200_SXM, work, sensors, faults=faults)
    other = dataclasses.replace(gpu, uuid="GPU-2", faults=())
    readout = metered(VirtualNvml(clock, gpu, other, horizon_s=60), clock, _LENGTH_S)
    counter = sensors.counter.counter(work, _BEGIN_NS, _BEGIN_NS + 60 * NS_PER_S)
    faulty = counter.milli
    for fault in faults:
        faulty = fault.counter(counter.t_ns, faulty)
    shown = {
        ("counter", gpu.uuid): dataclasses.replace(counter, milli=faulty),
        ("counter", other.uuid): counter,
    }
    for kind, sensor in (("power_instant", sensors.instant), ("power_mean", sensors.usage)):
        for uuid in (gpu.uuid, other.uuid):
            shown[kind, uuid] = sensor.power(work, _BEGIN_NS, _BEGIN_NS + 60 * NS_PER_S)
    channels = {channel.id: channel for channel in readout.channels}
    seen = 0
    for reading in readout.readings:
        channel = channels[reading.channel]
        if reading.status is not Status.OK:
            assert math.isnan(reading.value)
            assert channel.device == gpu.uuid
        elif (channel.kind, channel.device) in shown:
            seen += 1
            true_milli = int(shown[channel.kind, channel.device].at(np.array([reading.t_ns]))[0])
            assert reading.value == true_milli / 1000 > 0
    assert seen > 4 * _LENGTH_S


@settings(max_examples=15, deadline=None)
@given(faults=st.lists(_faults, min_size=1, max_size=3).map(tuple), phase_s=st.floats(0, 0.1))
def test_what_is_wrong_with_one_board_does_not_blind_the_other(faults: tuple[Fault, ...], phase_s: float) -> None:
    """Each tick of the good board's counter is in the readings."""
    clock = VirtualClock()
    work = Workload.of(_BEGIN_NS, [H200_SXM.idle(2), H200_SXM.decode(10)], H200_SXM.thermal)
    sensors = H200_SXM.sensors(0.1, phase_s=phase_s)
    bad = VirtualGpu(H200_SXM, work, sensors, faults=tuple(f for f in faults if not isinstance(f, CallSpikes)))
    good = dataclasses.replace(bad, uuid="GPU-2", faults=())
    readout = metered(VirtualNvml(clock, bad, good, horizon_s=60), clock, _LENGTH_S)
    (number,) = (c.id for c in readout.channels if c.kind == "counter" and c.device == good.uuid)
    readings = [reading for reading in readout.readings if reading.channel == number]
    widths_ms = [
        (later.t_ns - earlier.t_ns) / 1e6
        for earlier, later in itertools.pairwise(readings)
        if later.value != earlier.value
    ]
    assert len(widths_ms) >= 48
    assert np.percentile(widths_ms, 90) <= 2.5
