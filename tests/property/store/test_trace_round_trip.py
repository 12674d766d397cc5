from __future__ import annotations

import tempfile
from array import array
from pathlib import Path
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.model.reading import Reading, Status
from llenergymeasure.model.request import FinishReason, RequestRecord
from llenergymeasure.store.trace_files import read_trace, write_trace
from llenergymeasure.testing.builders import trace

_TIMES = st.integers(0, 2**62)
_COUNTS = st.none() | st.integers(0, 2**40)
_IDS = st.lists(st.integers(0, 2**31 - 1), max_size=5).map(lambda ids: array("i", ids))

_REQUESTS = st.builds(
    RequestRecord,
    sequence=st.integers(0, 10**6),
    prompt=st.integers(0, 10**6),
    batch=st.integers(0, 10**6),
    input_ids=_IDS,
    output_ids=_IDS,
    submitted_ns=_TIMES,
    finished_ns=_TIMES,
    token_t_ns=st.lists(_TIMES, max_size=5).map(lambda times: array("q", times)),
    finish_reason=st.sampled_from(get_args(FinishReason)),
    engine_input_tokens=_COUNTS,
    engine_output_tokens=_COUNTS,
    engine_queue_ms=st.none() | st.floats(0, 1e9),
)
_READINGS = st.builds(
    Reading,
    t_ns=_TIMES,
    call_ns=_TIMES,
    channel=st.integers(0, 100),
    value=st.floats(allow_nan=False),
    status=st.sampled_from(Status),
)


@settings(max_examples=30)
@given(requests=st.lists(_REQUESTS, max_size=4), readings=st.lists(_READINGS, max_size=4))
def test_a_trace_comes_back_as_it_was(requests: list[RequestRecord], readings: list[Reading]) -> None:
    """Head, requests and readings read from disk equal those written."""
    with tempfile.TemporaryDirectory() as folder:
        written = trace(requests, readings)
        write_trace(Path(folder), written)
        assert read_trace(Path(folder)) == written
