"""Shares of what devices can do: MFU and MBU, and why there are none."""

from __future__ import annotations

import pytest

from llenergymeasure.analyse.compute import compute, device_names
from llenergymeasure.analyse.decoding import mean_context_elements, most_elements, sequences_together
from llenergymeasure.data.device_peaks import DevicePeaks
from llenergymeasure.model.job import ModelRef
from llenergymeasure.model.machine import Architecture, Gpu
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.performance import ComputeGroup
from llenergymeasure.testing.builders import machine, request_record, session_facts, trace, trial_job
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(0, 10 * NS_PER_S)
_SHAPE = Architecture(
    family="llama",
    layers=2,
    hidden_size=64,
    attention_heads=4,
    key_value_heads=2,
    head_dim=16,
    vocabulary=100,
    context_limit=1000,
    parameters=100_000,
    active_parameters=100_000,
    embedding_parameters=6400,
    tied_embeddings=True,
)
_MIXED = Architecture(**{name: getattr(_SHAPE, name) for name in _SHAPE.__slots__} | {"experts": 8})
_PEAKS = {"A": DevicePeaks("A", {"bf16": 1e9}, 1e8, "a sheet"), "B": DevicePeaks("B", {"fp32": 1e9}, None, "another")}
# Numbers in the cache for one position: keys and values of 2 heads of 16 in 2 layers.
_PER_POSITION = 2 * 2 * 16 * 2


def _trace(
    *names: str, shape: Architecture | None = _SHAPE, observed: bool = True, gpus: bool = True, **session: object
) -> Trace:
    """Two sequences of 100 and 200 tokens that decode together for 10 s, on GPUs of these names."""
    requests = [
        request_record(
            row,
            input_tokens=inputs,
            output_tokens=101,
            first_token_ns=0,
            step_ns=NS_PER_S // 10,
            observed=observed,
        )
        for row, inputs in enumerate((100, 200))
    ]
    devices = tuple(f"GPU-{place}" for place in range(len(names)))
    facts = {
        "device_ids": devices,
        "device": "cuda",
        "precision": "bf16",
        "weight_bytes": 200_000,
        "kv_element_bytes": 2.0,
    }
    model = ModelRef("m", "/nowhere", "directory", architecture=shape, architecture_reason=shape and None)
    listed = tuple(Gpu(device, f"NVIDIA {name}") for device, name in zip(devices, names, strict=True))
    return trace(
        requests,
        session=session_facts(**facts | session),
        job=trial_job(model=model),
        machine=machine(gpus=listed if gpus else ()),
    )


def test_mfu_is_flops_over_time_and_peak() -> None:
    """The peak is that of the type which the model computes in."""
    found = compute(_trace("A"), _WINDOW, 100.0, _PEAKS)
    assert found.flops.total is not None and found.mfu == pytest.approx(found.flops.total / (10 * 1e9))
    assert (found.peak_flops_per_s, found.peak_type, found.peak_source) == (1e9, "bf16", "a sheet")
    assert found.reasons == {}


def test_mbu_is_what_a_step_reads_over_its_time_and_bandwidth() -> None:
    """Weights once, and the cache of both sequences half-way: (100 + 50 + 200 + 50) positions."""
    found = compute(_trace("A"), _WINDOW, 100.0, _PEAKS)
    cache_bytes = (150 + 250) * _PER_POSITION * 2
    assert found.mbu == pytest.approx((200_000 + cache_bytes) / (0.1 * 1e8))


def test_devices_that_work_together_have_the_sum_of_their_peaks() -> None:
    """Two of a kind can do twice as much, and are named once."""
    one, two = compute(_trace("A"), _WINDOW, 100.0, _PEAKS), compute(_trace("A", "A"), _WINDOW, 100.0, _PEAKS)
    assert one.mfu is not None and two.mfu == pytest.approx(one.mfu / 2)
    assert one.mbu is not None and two.mbu == pytest.approx(one.mbu / 2)
    assert two.peak_source == "a sheet"


@pytest.mark.parametrize(
    ("found", "mfu", "mbu"),
    [
        (compute(_trace("A", device_ids=("cpu",)), _WINDOW, 100.0, _PEAKS), "a CPU's peak", "a CPU's peak"),
        (compute(_trace("C"), _WINDOW, 100.0, _PEAKS), "NVIDIA C is not in the table", "NVIDIA C is not in the table"),
        (compute(_trace(), _WINDOW, 100.0, _PEAKS), "no device is not in", "no device is not in"),
        (compute(_trace("B"), _WINDOW, 100.0, _PEAKS), "none for bf16", "no bandwidth"),
        (compute(_trace("A", shape=None), _WINDOW, 100.0, _PEAKS), "architecture is not known", "not known"),
        (compute(_trace("A", weight_bytes=None), _WINDOW, 100.0, _PEAKS), None, "its weights take"),
        (compute(_trace("A", kv_element_bytes=None), _WINDOW, 100.0, _PEAKS), None, "type of its key-value cache"),
        (compute(_trace("A", shape=_MIXED), _WINDOW, 100.0, _PEAKS), None, "which experts"),
        (compute(_trace("A", observed=False), _WINDOW, 100.0, _PEAKS), None, "does not observe tokens"),
        (compute(_trace("A"), _WINDOW, None, _PEAKS), None, "time of a decoding step"),
    ],
    ids=["cpu", "unknown", "none", "no peak", "no shape", "no weights", "no type", "experts", "unobserved", "no step"],
)
def test_a_share_that_is_not_known_says_why(found: ComputeGroup, mfu: str | None, mbu: str) -> None:
    """Each of the two has its own reason, and what is missing for one does not take the other."""
    assert found.mbu is None and mbu in found.reasons["mbu"]
    if mfu is None:
        assert found.mfu is not None and "mfu" not in found.reasons
    else:
        assert found.mfu is None and mfu in found.reasons["mfu"]


def test_parameters_are_the_engines_count_or_the_shapes() -> None:
    """Total from the loaded model where the engine counts; active only from the shape."""
    counted = compute(_trace("A", parameters=7), _WINDOW, 100.0, _PEAKS)
    assert (counted.parameters_total, counted.parameters_active) == (7, 100_000)
    assert compute(_trace("A"), _WINDOW, 100.0, _PEAKS).parameters_total == 100_000
    unknown = compute(_trace("A", shape=None), _WINDOW, 100.0, _PEAKS)
    assert unknown.parameters_total is None and unknown.reasons["parameters_total"] == "the engine does not say"


def test_devices_are_named_by_their_driver_then_by_a_channel_then_by_their_id() -> None:
    """The name decides which peaks are looked up."""
    known = _trace("A")
    assert device_names(known.head) == ("NVIDIA A",)
    channel = Channel(0, "s", "gpu", "GPU-0", "by a channel", "counter", "J", 1.0)
    by_channel = trace((), session=session_facts(device_ids=("GPU-0", "GPU-9")), channels=(channel,))
    assert device_names(by_channel.head) == ("by a channel", "GPU-9")


@pytest.mark.parametrize(
    ("spans", "together"),
    [
        ([(0, 10), (0, 10)], 2.0),
        ([(0, 10), (10, 20)], 1.0),
        ([(0, 10), (5, 15)], 20 / 15),
        ([], None),
        ([(3, 3)], None),
    ],
)
def test_sequences_that_decode_together(spans: list[tuple[int, int]], together: float | None) -> None:
    """The sum of their times over the time in which any of them does."""
    records = [
        request_record(row, output_tokens=2, first_token_ns=begin, step_ns=end - begin)
        for row, (begin, end) in enumerate(spans)
    ]
    assert sequences_together(records) == (None if together is None else pytest.approx(together))


def test_the_most_that_the_cache_holds_at_one_time() -> None:
    """Sequences one after the other share its room; those at one time do not."""
    first = request_record(0, input_tokens=10, output_tokens=2, first_token_ns=0, step_ns=10)
    second = request_record(1, input_tokens=20, output_tokens=2, first_token_ns=10, step_ns=10)
    beside = request_record(2, input_tokens=30, output_tokens=2, observed=False, submitted_ns=5, finished_ns=15)
    assert most_elements(_SHAPE, [first, second]) == 22 * _PER_POSITION
    assert most_elements(_SHAPE, [first, second, beside]) == (22 + 32) * _PER_POSITION
    assert most_elements(_SHAPE, []) == 0


def test_no_token_reads_no_cache() -> None:
    """Nothing over nothing is not zero."""
    assert mean_context_elements(_SHAPE, []) is None
