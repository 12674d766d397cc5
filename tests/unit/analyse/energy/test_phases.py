from __future__ import annotations

from typing import Any

import pytest

from llenergymeasure.analyse.energy.phases import phases
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.testing.builders import request_record, session_facts, trace
from llenergymeasure.units import NS_PER_S

_COUNTER = Channel(0, "nvml", "gpu", "cpu", "a device", "counter", "J", 20.0, update_period_s=0.1, stated_error=0.05)

# The counter is read so long before and after each of its ticks, ten a second.
_NEAR_NS = 1_000_000


def _energy_j(t_s: float) -> float:
    """300 W for the first 2 s of each batch of 6 s that starts at 2 s, 100 W otherwise."""
    return 100 * t_s + 200 * sum(min(max(t_s - begin_s, 0.0), 2.0) for begin_s in (2.0, 8.0))


def _batches(**changes: Any) -> list[RequestRecord]:
    return [
        request_record(
            number,
            batch=number,
            output_tokens=5,
            submitted_ns=begin_s * NS_PER_S,
            first_token_ns=(begin_s + 2) * NS_PER_S,
            step_ns=NS_PER_S,
            **changes,
        )
        for number, begin_s in enumerate((2, 8))
    ]


def _trace(requests: list[RequestRecord], batching: str = "static") -> Any:
    readings = [
        Reading(tick * NS_PER_S // 10 + late_ns, 0, 0, _energy_j((tick if late_ns > 0 else tick - 1) / 10))
        for tick in range(1, 171)
        for late_ns in (-_NEAR_NS, _NEAR_NS)
    ]
    return trace(requests, readings, channels=(_COUNTER,), session=session_facts(batching=batching))


def test_static_batches_of_long_phases_are_split_by_their_first_tokens() -> None:
    """Two batches: 2 × 2 s at 300 W until the first token, 2 × 4 s at 100 W after it."""
    prefill, decode = phases(_trace(_batches()))
    assert prefill.value == pytest.approx(1200, rel=0.01)
    assert decode.value == pytest.approx(800, rel=0.01)
    for found, truth in ((prefill, 1200), (decode, 800)):
        assert found.repeatability_95 is not None and found.repeatability_95.low <= truth <= found.repeatability_95.high
        assert found.absolute_95 is not None and found.absolute_95.low < found.repeatability_95.low


@pytest.mark.parametrize(
    ("requests", "batching", "reason"),
    [
        (_batches(), "engine", "prefills some requests while it decodes others"),
        (_batches(observed=False), "static", "does not observe tokens"),
        ([request_record(0, submitted_ns=3 * NS_PER_S, first_token_ns=3 * NS_PER_S + 10**7)], "static", "too short"),
        ([], "static", "too short"),
    ],
)
def test_phases_that_cannot_be_told_apart_are_missing(
    requests: list[RequestRecord], batching: str, reason: str
) -> None:
    """The reason says why, and how two runs would tell."""
    for found in phases(_trace(requests, batching)):
        assert found.value is None and reason in str(found.reason) and "max_new_tokens" in str(found.reason)
