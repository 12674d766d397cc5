"""Latencies from token times; ``None`` with a reason where the backend could not observe one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from llenergymeasure.analyse.statistics import quantile_ranks
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.schema.performance import LatencyGroup, Spread
from llenergymeasure.schema.quantity import Interval
from llenergymeasure.units import NS_PER_MS

# p99 of fewer values is a guess about the largest ones.
_P99_NEEDS = 1000
_PERCENTILES = (50, 90, 95, 99)

_ONE_BATCH = "requests of one batch are not independent"
_ONE_REQUEST = "gaps of one request are not independent"


def latencies(requests: tuple[RequestRecord, ...], *, static: bool) -> LatencyGroup:
    """Latencies over the finished requests.

    Static batching: from the submission of the batch. Engine batching: from the start of the request as the engine reports
    it (submission plus its queueing), which makes TTFT and end-to-end missing when it reports none.
    """
    done = [request for request in requests if request.finish_reason not in ("cancelled", "error")]
    timed = [request for request in done if len(request.token_t_ns) == len(request.output_ids) > 0]
    no_tokens = None if timed else _why_not_timed(done)
    started = [(request, _start_ns(request, static)) for request in timed]
    known = [(request, start_ns) for request, start_ns in started if start_ns is not None]
    no_start = no_tokens or (None if known else "the engine does not report when a request starts")
    queues = [request.engine_queue_ms for request in done if request.engine_queue_ms is not None]
    gaps = [np.diff(np.asarray(request.token_t_ns, dtype=np.int64)) / NS_PER_MS for request in timed]
    shared = _ONE_BATCH if static and max(Counter(request.batch for request in done).values(), default=0) > 1 else None
    return LatencyGroup(
        ttft_ms=_spread([(request.token_t_ns[0] - start) / NS_PER_MS for request, start in known], no_start, shared),
        itl_ms=_spread(
            np.concatenate(gaps).tolist() if gaps else [], no_tokens or "no request has two tokens", _ONE_REQUEST
        ),
        tpot_ms=_spread([_tpot_ms(request) for request in timed if len(request.token_t_ns) > 1], no_tokens, shared),
        e2e_ms=_spread([(request.token_t_ns[-1] - start) / NS_PER_MS for request, start in known], no_start, shared),
        queue_ms=_spread(queues, "static batches do not queue" if static else "the engine reports no queueing", shared),
        latency_method="per_token" if timed else "batch_only",
    )


def _why_not_timed(done: Sequence[RequestRecord]) -> str:
    return "the backend does not observe tokens" if done else "no request was finished"


def _start_ns(request: RequestRecord, static: bool) -> int | None:
    if static:
        return request.submitted_ns
    if request.engine_queue_ms is None:
        return None
    return request.submitted_ns + round(request.engine_queue_ms * NS_PER_MS)


def _tpot_ms(request: RequestRecord) -> float:
    times = request.token_t_ns
    return (times[-1] - times[0]) / NS_PER_MS / (len(times) - 1)


def _spread(values: Sequence[float], reason: str | None, dependent: str | None) -> Spread:
    """The distribution; ``reason`` says why there are no values, ``dependent`` why there can be no intervals."""
    if not values:
        return Spread(reason=reason or "no request has two tokens")
    ordered, n = np.sort(np.asarray(values)), len(values)
    enough = n >= _P99_NEEDS
    shown = _PERCENTILES if enough else _PERCENTILES[:-1]
    points = {f"p{q}": float(np.percentile(ordered, q)) for q in shown}
    intervals = {f"p{q}_95": _between(ordered.tolist(), quantile_ranks(n, q / 100)) for q in shown}
    few = None if all(intervals.values()) else f"{n} values are too few for some of the intervals"
    return Spread(
        mean=float(np.mean(ordered)),
        n=n,
        reason=None if enough else f"p99 needs {_P99_NEEDS} values",
        interval_reason=dependent or few,
        **points,
        **({} if dependent else intervals),
    )


def _between(ordered: Sequence[float], ranks: tuple[int, int] | None) -> Interval | None:
    return None if ranks is None else Interval(low=ordered[ranks[0] - 1], high=ordered[ranks[1] - 1])
