from __future__ import annotations

from array import array

import pytest

from llenergymeasure.analyse.latency import latencies
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.testing.builders import request_record

_MS = 1_000_000


def _record(*times_ms: float, submitted_ms: float = 0, sequence: int = 0, **changes: object) -> RequestRecord:
    return request_record(
        sequence,
        output_tokens=len(times_ms),
        submitted_ns=int(submitted_ms * _MS),
        token_t_ns=array("q", [int(time * _MS) for time in times_ms]),
        **changes,
    )


def test_static_batches_count_from_their_submission() -> None:
    """TTFT and end-to-end begin when the batch was given to the engine; a static batch has no queue."""
    group = latencies((_record(30, 40, 60, submitted_ms=10),), static=True)
    assert (group.ttft_ms.p50, group.e2e_ms.p50, group.tpot_ms.p50) == (20.0, 50.0, 15.0)
    assert (group.itl_ms.mean, group.itl_ms.n) == (15.0, 2)
    assert (group.queue_ms.p50, group.queue_ms.reason) == (None, "static batches do not queue")
    assert group.latency_method == "per_token"


def test_engine_batching_counts_from_the_start_of_the_request() -> None:
    """Time in the queue is no part of TTFT; it is a figure of its own."""
    group = latencies((_record(30, 40, submitted_ms=10, engine_queue_ms=15.0),), static=False)
    assert (group.ttft_ms.p50, group.e2e_ms.p50, group.queue_ms.p50) == (5.0, 15.0, 15.0)


def test_an_engine_that_reports_no_queue_has_no_ttft() -> None:
    """When a request starts is not known, so neither is what counts from it; gaps between tokens are."""
    group = latencies((_record(30, 40),), static=False)
    assert group.ttft_ms.p50 is None and group.e2e_ms.p50 is None
    assert group.ttft_ms.reason == group.e2e_ms.reason == "the engine does not report when a request starts"
    assert group.queue_ms.reason == "the engine reports no queueing"
    assert group.itl_ms.p50 == group.tpot_ms.p50 == 10.0


def test_only_requests_with_a_known_start_have_a_ttft() -> None:
    """One silent request does not take the others' latency."""
    records = (_record(30, 40, engine_queue_ms=10.0), _record(99, 109, sequence=1))
    group = latencies(records, static=False)
    assert (group.ttft_ms.p50, group.ttft_ms.n, group.itl_ms.n) == (20.0, 1, 2)


def test_one_token_has_no_gap() -> None:
    """TPOT and ITL need two tokens."""
    group = latencies((_record(30, submitted_ms=10),), static=True)
    assert group.ttft_ms.p50 == group.e2e_ms.p50 == 20.0
    assert group.itl_ms.reason == group.tpot_ms.reason == "no request has two tokens"


def test_tokens_that_were_not_observed_give_no_latency() -> None:
    """Batch time over batch size is not a latency."""
    group = latencies((request_record(observed=False),), static=True)
    for spread in (group.ttft_ms, group.itl_ms, group.tpot_ms, group.e2e_ms):
        assert (spread.p50, spread.mean, spread.n) == (None, None, 0)
        assert spread.reason == "the backend does not observe tokens"
    assert group.latency_method == "batch_only"


def test_a_request_with_some_tokens_unobserved_is_left_out() -> None:
    """Half the times are no times."""
    partly = request_record(1, output_tokens=8, token_t_ns=array("q", [1, 2]))
    assert latencies((_record(30, 40), partly), static=True).ttft_ms.n == 1


@pytest.mark.parametrize("reason", ["cancelled", "error"])
def test_requests_that_were_not_finished_are_left_out(reason: str) -> None:
    """What was cut has no end, and its begin is not an answer's."""
    group = latencies((_record(30, 40, finish_reason=reason),), static=True)
    assert group.ttft_ms.reason == "no request was finished"
    assert latencies((), static=False).itl_ms.reason == "no request was finished"


@pytest.mark.parametrize(("n", "p99"), [(999, None), (1000, 990.01)])
def test_p99_needs_a_thousand_requests(n: int, p99: float | None) -> None:
    """Of fewer it is a guess; the other percentiles stand."""
    spread = latencies(tuple(_record(index + 1, sequence=index) for index in range(n)), static=True).ttft_ms
    assert (spread.p99, spread.n) == (pytest.approx(p99), n)
    assert spread.p50 == pytest.approx((n + 1) / 2)
    assert spread.reason == (None if p99 else "p99 needs 1000 values")


def test_percentiles_have_intervals_between_two_of_the_values() -> None:
    """Of 100 values the 40th and the 61st hold the median between them at 95 %; 100 are too few for p99 itself."""
    spread = latencies(
        tuple(_record(index + 1, sequence=index, batch=index) for index in range(100)), static=True
    ).ttft_ms
    assert spread.p50_95 is not None and (spread.p50_95.low, spread.p50_95.high) == (40.0, 61.0)
    assert spread.p95_95 is not None and spread.p95 is not None
    assert spread.p95_95.low < spread.p95 < spread.p95_95.high
    assert (spread.p99_95, spread.interval_reason) == (None, None)


def test_few_values_have_few_intervals() -> None:
    """The largest of ten values is no bound of the 90th percentile."""
    spread = latencies(
        tuple(_record(index + 1, sequence=index, batch=index) for index in range(10)), static=True
    ).ttft_ms
    assert spread.p50_95 is not None and spread.p90_95 is None
    assert spread.interval_reason == "10 values are too few for some of the intervals"


def test_values_that_depend_on_each_other_have_no_intervals() -> None:
    """Requests of one batch share their times, and so do the gaps of one request."""
    batch = latencies(tuple(_record(index + 1, index + 9, sequence=index) for index in range(100)), static=True)
    assert batch.ttft_ms.p50_95 is None and batch.ttft_ms.interval_reason == "requests of one batch are not independent"
    assert batch.itl_ms.p50_95 is None and batch.itl_ms.interval_reason == "gaps of one request are not independent"
    together = tuple(_record(index + 1, sequence=index, engine_queue_ms=0.0) for index in range(100))
    assert latencies(together, static=False).ttft_ms.p50_95 is not None
