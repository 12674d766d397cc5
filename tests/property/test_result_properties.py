"""What holds for the result of any trace."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.data.device_peaks import DevicePeaks
from llenergymeasure.model.event import MemoryFacts
from llenergymeasure.model.job import ModelRef, Site
from llenergymeasure.model.machine import Architecture, Gpu
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Reading, Status
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.testing.builders import machine, marks, session_facts, trace, trial_job
from llenergymeasure.units import NS_PER_S

_SHAPE = Architecture("llama", 2, 64, 4, 2, 16, 100, 1000, 10_000, 10_000, 6400, True)
_MODEL = CpuPowerModel(2, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "made up")
_PEAKS = {"A": DevicePeaks("A", {"bf16": 1e12}, 1e11, "a sheet")}
_KINDS: tuple[ChannelKind, ...] = ("counter", "power_instant", "power_mean", "model", "utilisation", "memory")


@st.composite
def _requests(draw: st.DrawFn) -> tuple[RequestRecord, ...]:
    """Up to five requests between 4 and 14 s, with tokens observed or not, whole or cut."""
    found = []
    for sequence in range(draw(st.integers(0, 5))):
        inputs, outputs = draw(st.integers(1, 50)), draw(st.integers(0, 20))
        submitted_ns = draw(st.integers(4 * NS_PER_S, 12 * NS_PER_S))
        steps = draw(st.lists(st.integers(0, NS_PER_S // 10), min_size=outputs, max_size=outputs))
        times = [submitted_ns + sum(steps[: place + 1]) for place in range(outputs)]
        found.append(
            RequestRecord(
                sequence=sequence,
                prompt=sequence,
                batch=draw(st.integers(0, 2)),
                input_ids=array("i", range(inputs)),
                output_ids=array("i", range(outputs)),
                submitted_ns=submitted_ns,
                finished_ns=times[-1] if times else submitted_ns,
                token_t_ns=array("q", times if draw(st.booleans()) else []),
                finish_reason=draw(st.sampled_from(["length", "stop", "cancelled", "error"])),
                engine_output_tokens=draw(st.none() | st.integers(0, 30)),
                engine_queue_ms=draw(st.none() | st.floats(0, 1000)),
            )
        )
    return tuple(found)


@st.composite
def _traces(draw: st.DrawFn) -> Trace:
    """Any mix of channels whose readings rise, fall, fail, begin late or end early."""
    channels, readings = [], []
    for place, kind in enumerate(draw(st.lists(st.sampled_from(_KINDS), max_size=3))):
        channels.append(
            Channel(
                place,
                "s",
                draw(st.sampled_from(["gpu", "module", "package"])),
                draw(st.sampled_from(["GPU-1", "GPU-2", "cpu"])),
                "NVIDIA A",
                kind,
                "",
                10.0,
                averaging_s=draw(st.sampled_from([None, 0.1, 1.0])),
                stated_error=draw(st.none() | st.floats(0, 0.2)),
                cpu_power_model=_MODEL if kind == "model" else None,
            )
        )
        begin, end = draw(st.integers(0, 60)), draw(st.integers(100, 160))
        value = 0.0
        steps = draw(st.lists(st.floats(-1, 50), min_size=1, max_size=8))
        for tick in range(begin, end):
            value = value + steps[tick % len(steps)] if kind in ("counter", "model") else abs(steps[tick % len(steps)])
            bad = draw(st.integers(0, 40)) == 0
            readings.append(
                Reading(
                    tick * NS_PER_S // 10, 0, place, math.nan if bad else value, Status.FAILED if bad else Status.OK
                )
            )
    devices = draw(st.sampled_from([("GPU-1",), ("GPU-1", "GPU-2"), ("cpu",), ()]))
    return trace(
        draw(_requests()),
        sorted(readings, key=lambda reading: reading.t_ns),
        channels=tuple(channels),
        marks=marks(("idle", 0, 1), ("load", 1, 2), ("idle_loaded", 2, 4), ("window", 4, 14), ("quiet", 14, 15)),
        machine=machine(gpus=tuple(Gpu(device, "NVIDIA A", power_limit_w=300.0) for device in ("GPU-1", "GPU-2"))),
        memory=MemoryFacts(None, None, draw(st.none() | st.integers(0, 2**40))),
        job=trial_job(
            model=ModelRef("m", "/nowhere", "directory", architecture=draw(st.sampled_from([None, _SHAPE]))),
            site=Site(
                carbon_intensity_gco2_kwh=draw(st.none() | st.floats(0, 2000)), price=draw(st.none() | st.just(0.3))
            ),
            cold_start=draw(st.booleans()),
        ),
        session=session_facts(
            device_ids=devices,
            batching=draw(st.sampled_from(["static", "engine"])),
            precision=draw(st.sampled_from(["bf16", "as_stored"])),
            weight_bytes=draw(st.none() | st.integers(1, 2**40)),
            kv_element_bytes=draw(st.none() | st.just(2.0)),
        ),
    )


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _floats(item)
    elif isinstance(value, list):
        for item in value:
            yield from _floats(item)


def _reject(word: str) -> None:
    raise AssertionError(f"{word} in a result")


@given(_traces())
def test_every_number_of_a_result_is_finite_and_comes_back(found: Trace) -> None:
    """NaN and infinity never reach JSON, and JSON holds the whole result."""
    result = analyse(found, _PEAKS)
    text = result.to_json()
    value = json.loads(text, parse_constant=_reject)
    numbers = list(_floats(value))
    assert numbers and all(map(math.isfinite, numbers))
    assert ExperimentResult.model_validate(value) == result
    assert ExperimentResult.model_validate(value).to_json() == text


@given(_traces())
def test_every_quantity_of_a_result_has_a_value_or_a_reason(found: Trace) -> None:
    """And its intervals hold it."""
    result = analyse(found, _PEAKS)
    quantities = [value for _, value in result if isinstance(value, Quantity)]
    assert len(quantities) == 5
    for quantity in quantities:
        assert (quantity.value is None) == bool(quantity.reason)
        for interval in (quantity.repeatability_95, quantity.absolute_95):
            assert interval is None or (quantity.value is not None and interval.low <= quantity.value <= interval.high)


@given(_traces())
def test_whatever_is_missing_from_a_group_has_a_reason(found: Trace) -> None:
    """A field that is ``None`` is among the reasons of its group, and no other is."""
    result = analyse(found, _PEAKS)
    for group in (result.memory, result.utilisation):
        assert {name for name, value in group if value is None} == set(group.reasons)
    for name in ("mfu", "mbu", "peak_flops_per_s", "peak_bytes_per_s", "parameters_total", "parameters_active"):
        assert (getattr(result.compute, name) is None) == (name in result.compute.reasons), name


@given(_traces())
def test_a_summary_can_always_be_printed(found: Trace) -> None:
    """Seven lines, whatever is missing; one more for a cold start and for a meter's own error, two for each doubt."""
    result = analyse(found, _PEAKS)
    lines = result.summary().splitlines()
    doubts = sum(remark.severity != "info" for remark in result.validity.remarks)
    metered = not result.energy_total_j.estimated and result.energy_total_j.absolute_95 is not None
    assert len(lines) == 7 + found.head.job.cold_start + metered + 2 * doubts
    assert all(len(line) > 15 for line in lines)
