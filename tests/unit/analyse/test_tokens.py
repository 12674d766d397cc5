from __future__ import annotations

from array import array

import pytest

from llenergymeasure.analyse.tokens import count_tokens, mismatched, tokens_per_second, usual_step_s
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.testing.builders import request_record
from llenergymeasure.units import NS_PER_S


def _even(seconds: int, per_second: int = 10, **changes: object) -> RequestRecord:
    """One request whose tokens come evenly over a window of so many seconds."""
    step = NS_PER_S // per_second
    return request_record(output_tokens=seconds * per_second, first_token_ns=step // 2, step_ns=step, **changes)


def test_tokens_are_counted_from_ids() -> None:
    """Totals and means over all requests of the window, those that were cut with them."""
    group = count_tokens(
        (
            request_record(0, input_tokens=3, output_tokens=5),
            request_record(1, input_tokens=7, output_tokens=0, finish_reason="cancelled"),
        )
    )
    assert (group.input_tokens, group.output_tokens, group.requests) == (10, 5, 2)
    assert (group.input_per_request.mean, group.output_per_request.mean) == (5.0, 2.5)
    assert (group.input_per_request.minimum, group.input_per_request.p50, group.input_per_request.maximum) == (
        3,
        5.0,
        7,
    )
    assert group.finish_reasons == {"cancelled": 1, "length": 1}


def test_no_request_has_no_mean() -> None:
    """Nothing over nothing is not zero."""
    group = count_tokens(())
    assert (group.output_tokens, group.requests) == (0, 0)
    assert group.output_per_request.mean is None and group.input_per_request.maximum is None
    assert group.engine_output_tokens is None and group.mismatches is None and group.finish_reasons == {}


@pytest.mark.parametrize(("counts", "total"), [((5, 6), 11), ((5, None), None), ((None, None), None)])
def test_the_engines_own_total_needs_all_its_counts(counts: tuple[int | None, ...], total: int | None) -> None:
    """A sum over some of the requests is not the engine's total."""
    records = tuple(request_record(index, engine_output_tokens=count) for index, count in enumerate(counts))
    assert count_tokens(records).engine_output_tokens == total


def test_what_a_cache_spared_and_speculation_kept_is_summed_where_all_tell() -> None:
    """0 from an engine that counts, ``None`` from one that does not."""
    told = tuple(
        request_record(index, engine_cached_tokens=0, engine_drafted_tokens=8, engine_accepted_tokens=5 + index)
        for index in range(2)
    )
    group = count_tokens(told)
    assert (group.cached_input_tokens, group.drafted_tokens, group.accepted_tokens) == (0, 16, 11)
    silent = count_tokens((*told, request_record(2)))
    assert (silent.cached_input_tokens, silent.drafted_tokens, silent.accepted_tokens) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, 0),
        ({"engine_output_tokens": 8, "engine_input_tokens": 4}, 0),
        ({"engine_output_tokens": 9}, 1),
        ({"engine_input_tokens": 5}, 1),
        ({"engine_output_tokens": 0}, 1),
        ({"engine_output_tokens": 9, "finish_reason": "cancelled"}, 0),
    ],
)
def test_counts_that_differ_are_found(changes: dict[str, object], wrong: int) -> None:
    """The engine's count is compared where there is one; a request that was cut has none to compare."""
    assert mismatched((request_record(input_tokens=4, output_tokens=8, **changes),)) == wrong


def test_rate_with_its_interval() -> None:
    """An even stream over twelve seconds has its rate and an interval of no width, over twelve slices."""
    rate = tokens_per_second((_even(12),), Interval(0, 12 * NS_PER_S))
    assert (rate.value, rate.unit, rate.n) == (10.0, "tokens/s", 12)
    assert rate.repeatability_95 == rate.absolute_95
    assert rate.repeatability_95 is not None
    assert (rate.repeatability_95.low, rate.repeatability_95.high) == (pytest.approx(10), pytest.approx(10))


def test_an_uneven_stream_has_a_wide_interval() -> None:
    """Slices that differ widen the interval around the same rate."""
    times = [second * NS_PER_S + index * 1000 + 1 for second in range(12) for index in range(5 + 10 * (second % 2))]
    record = request_record(output_tokens=len(times), token_t_ns=array("q", times))
    rate = tokens_per_second((record,), Interval(0, 12 * NS_PER_S))
    assert rate.value == 10.0 and rate.repeatability_95 is not None
    assert rate.repeatability_95.low < 7.5 and rate.repeatability_95.high > 12.5


@pytest.mark.parametrize(
    ("seconds", "changes", "reason"),
    [
        (9, {}, "window too short for a within-run interval"),
        (12, {"token_t_ns": array("q")}, "the backend does not observe every token"),
    ],
)
def test_rate_without_an_interval(seconds: int, changes: dict[str, object], reason: str) -> None:
    """The rate stands alone, with why."""
    rate = tokens_per_second((_even(seconds, **changes),), Interval(0, seconds * NS_PER_S))
    assert (rate.value, rate.repeatability_95, rate.interval_reason) == (10.0, None, reason)


@pytest.mark.parametrize(
    ("records", "end_ns"), [((), NS_PER_S), ((request_record(output_tokens=0),), NS_PER_S), ((_even(1),), 0)]
)
def test_no_token_has_no_rate(records: tuple[RequestRecord, ...], end_ns: int) -> None:
    """A window without output is missing its rate, not zero tokens a second."""
    rate = tokens_per_second(records, Interval(0, end_ns))
    assert (rate.value, rate.reason) == (None, "the window holds no output token")


def test_a_machine_that_has_been_up_for_long() -> None:
    """Large monotonic times lose no token at the edges of slices."""
    up_ns = 400 * 86_400 * NS_PER_S
    record = _even(12)
    late = array("q", [up_ns + time for time in record.token_t_ns])
    rate = tokens_per_second(
        (request_record(output_tokens=120, token_t_ns=late),), Interval(up_ns, up_ns + 12 * NS_PER_S)
    )
    assert rate.repeatability_95 is not None
    assert rate.repeatability_95.high - rate.repeatability_95.low < 1e-6


def test_the_usual_step_is_the_median_time_between_tokens_of_a_request() -> None:
    """Over all requests; none where no request shows two tokens, or all of a request come at one time."""
    fast, slow = (
        request_record(0, output_tokens=30, step_ns=10**7),
        request_record(1, output_tokens=9, step_ns=5 * 10**7),
    )
    assert usual_step_s((fast, slow)) == pytest.approx(0.01)
    assert usual_step_s(()) is None
    assert usual_step_s((request_record(output_tokens=1), request_record(output_tokens=5, step_ns=0))) is None
