"""How busy devices were and what their memory held, and why it is not known."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llenergymeasure.analyse.utilisation import memory, utilisation
from llenergymeasure.model.event import MemoryFacts
from llenergymeasure.model.job import ModelRef
from llenergymeasure.model.machine import Architecture
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.testing.builders import request_record, session_facts, trace, trial_job
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(2 * NS_PER_S, 12 * NS_PER_S)
_MODEL = CpuPowerModel(4, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "made up")


def _channel(kind: ChannelKind, device: str = "GPU-1", detail: str = "") -> Channel:
    return Channel(
        0, "s", "gpu", device, device, kind, "", 1.0, detail=detail, cpu_power_model=_MODEL if kind == "model" else None
    )


def _trace(*channels: tuple[Channel, Sequence[tuple[float, float]]], **changes: object) -> Trace:
    """Channels with their (second, value) pairs; GPU-1 and GPU-2 work."""
    numbered = [Channel(**_fields(channel) | {"id": place}) for place, (channel, _) in enumerate(channels)]
    readings = [
        Reading(round(t_s * NS_PER_S), 0, place, value)
        for place, (_, pairs) in enumerate(channels)
        for t_s, value in pairs
    ]
    return trace(
        (),
        sorted(readings, key=lambda reading: reading.t_ns),
        **{"channels": tuple(numbered), "session": session_facts(device_ids=("GPU-1", "GPU-2"), device="cuda")}
        | changes,
    )


def _fields(channel: Channel) -> dict[str, object]:
    return {name: getattr(channel, name) for name in channel.__slots__}


def test_accelerators_are_as_busy_as_the_mean_of_those_that_work() -> None:
    """Readings outside of the window and devices that do not work are left out."""
    found = utilisation(
        _trace(
            (_channel("utilisation"), [(1, 0.0), (3, 80.0), (4, 100.0), (13, 0.0)]),
            (_channel("utilisation", "GPU-2"), [(3, 50.0)]),
            (_channel("utilisation", "GPU-3"), [(3, 1.0)]),
            (_channel("utilisation", "GPU-1", "memory"), [(3, 30.0)]),
        ),
        _WINDOW,
    )
    assert (found.accelerator_percent, found.memory_bandwidth_percent) == (70.0, 30.0)
    assert found.reasons["cpu_percent"] == "no channel reads CPU time"
    assert not {"accelerator_percent", "memory_bandwidth_percent"} & set(found.reasons)


def test_cpu_time_over_that_of_the_cpus_it_may_use() -> None:
    """20 s of CPU in 10 s on 4 CPUs is half of them."""
    found = utilisation(_trace((_channel("model", "cpu"), [(0, 0.0), (2, 5.0), (12, 25.0), (13, 25.0)])), _WINDOW)
    assert found.cpu_percent == pytest.approx(50.0)
    empty = {name for name in type(found).model_fields if getattr(found, name) is None}
    assert empty == set(found.reasons) and found.reasons["accelerator_percent"] == "no channel reads it"


def test_clocks_and_the_time_in_which_they_were_held_down() -> None:
    """Means of the window, and seconds by cause."""
    found = utilisation(
        _trace(
            (_channel("sm_clock"), [(3, 1980.0), (4, 1410.0)]),
            (_channel("memory_clock"), [(3, 2619.0)]),
            (_channel("throttle_time", detail="thermal"), [(1, 7.0), (7, 7.0), (9, 8.0), (13, 8.0)]),
        ),
        _WINDOW,
    )
    assert (found.sm_clock_mhz, found.memory_clock_mhz) == (1695.0, 2619.0)
    assert found.throttled_s == pytest.approx({"thermal": 1.0})


@pytest.mark.parametrize("pairs", [[(3, 1.0), (13, 2.0)], [(1, 1.0), (11, 2.0)]])
def test_cpu_time_that_does_not_cover_the_window_is_none(pairs: list[tuple[float, float]]) -> None:
    """Nothing is made up at the edges."""
    found = utilisation(_trace((_channel("model", "cpu"), pairs)), _WINDOW)
    assert found.cpu_percent is None and found.reasons["cpu_percent"] == "the readings do not cover the window"


def test_a_window_without_a_reading_is_not_idle() -> None:
    """One reading before it says nothing about it."""
    found = utilisation(_trace((_channel("utilisation"), [(1, 99.0)])), _WINDOW)
    assert found.accelerator_percent is None
    assert found.reasons["accelerator_percent"] == "the window holds no reading of it"


def test_peak_of_the_devices_is_the_sum_of_each_ones_largest_reading() -> None:
    """Memory in use by anybody, over the whole trial."""
    found = memory(
        _trace(
            (_channel("memory"), [(1, 10.0), (3, 30.0), (13, 20.0)]),
            (_channel("memory", "GPU-2"), [(1, 5.0)]),
        )
    )
    assert found.device_peak_bytes == 35
    assert memory(_trace((_channel("memory"), []))).reasons["device_peak_bytes"] == "no channel reads it"


def test_what_the_engine_does_not_say_is_none_with_the_reason() -> None:
    """Every field that is None has one; the CPU has no memory of a device."""
    found = memory(trace((), memory=MemoryFacts(None, None, None)))
    empty = {name for name in type(found).model_fields if getattr(found, name) is None}
    assert empty == set(found.reasons) and len(empty) == 7
    assert found.reasons["device_allocated_peak_bytes"] == "nothing worked but the CPU"
    gpu = memory(_trace(memory=MemoryFacts(None, None, None)))
    assert gpu.reasons["device_allocated_peak_bytes"] == "the engine counts no memory of its own"


def test_cache_needed_is_what_the_sequences_fill() -> None:
    """Positions of the longest, times layers, heads, their width, two and bytes."""
    shape = Architecture("llama", 2, 64, 4, 2, 16, 100, 1000, 10, 10, 1, True)
    model = ModelRef("m", "/nowhere", "directory", architecture=shape)
    facts = session_facts(kv_element_bytes=2.0, weight_bytes=5, kv_bytes=6)
    held = trace(
        (request_record(input_tokens=10, output_tokens=5),),
        session=facts,
        job=trial_job(model=model),
        memory=MemoryFacts(1, 2, 3),
    )
    assert memory(held).kv_needed_bytes == 15 * (2 * 2 * 16 * 2) * 2
    assert set(memory(held).reasons) == {"device_peak_bytes"}
    untyped = trace((), session=session_facts(), job=trial_job(model=model))
    assert "type of its key-value cache" in memory(untyped).reasons["kv_needed_bytes"]
