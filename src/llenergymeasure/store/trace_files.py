"""A trace on disk: the head as JSON, requests and readings as Parquet. The head is written last and makes it complete."""

from __future__ import annotations

import dataclasses
import json
from array import array
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llenergymeasure.errors import StoreError
from llenergymeasure.model.codec import decode, encode
from llenergymeasure.model.folder import READINGS, REQUESTS, TRACE
from llenergymeasure.model.reading import Readings
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.model.trace import TRACE_VERSION, Trace, TraceHead
from llenergymeasure.store.atomic import replacing, write_text

_READINGS_SCHEMA = pa.schema(
    [
        ("t_ns", pa.int64()),
        ("call_ns", pa.int64()),
        ("channel", pa.int64()),
        ("value", pa.float64()),
        ("status", pa.int64()),
    ]
)
_REQUESTS_SCHEMA = pa.schema(
    [
        ("sequence", pa.int64()),
        ("prompt", pa.int64()),
        ("batch", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("submitted_ns", pa.int64()),
        ("first_token_ns", pa.int64()),
        ("finished_ns", pa.int64()),
        ("finish_reason", pa.string()),
        ("engine_input_tokens", pa.int64()),
        ("engine_output_tokens", pa.int64()),
        ("engine_queue_ms", pa.float64()),
        ("engine_cached_tokens", pa.int64()),
        ("engine_drafted_tokens", pa.int64()),
        ("engine_accepted_tokens", pa.int64()),
        ("input_ids", pa.list_(pa.int32())),
        ("output_ids", pa.list_(pa.int32())),
        ("token_t_ns", pa.list_(pa.int64())),
    ]
)


def write_trace(folder: Path, trace: Trace) -> None:
    """Write the three files of a trace; ``trace.json`` last. Raises ``StoreError``."""
    columns = {name: getattr(trace.readings, name) for name in _READINGS_SCHEMA.names}
    with replacing(folder / READINGS) as draft:
        pq.write_table(pa.table(columns, schema=_READINGS_SCHEMA), draft, compression="zstd")
    rows = [_row(record) for record in trace.requests]
    with replacing(folder / REQUESTS) as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema=_REQUESTS_SCHEMA), draft, compression="zstd")
    write_text(folder / TRACE, json.dumps(encode(trace.head), indent=1, allow_nan=False) + "\n")


def read_trace(folder: Path) -> Trace:
    """The trace of a trial folder. Raises ``StoreError`` when it is not there, not whole, or of another major version."""
    try:
        head = _head(json.loads((folder / TRACE).read_text(encoding="utf-8")))
        requests = tuple(_record(row) for row in pq.read_table(folder / REQUESTS).to_pylist())
        table = pq.read_table(folder / READINGS)
        readings = Readings()
        for name in _READINGS_SCHEMA.names:
            getattr(readings, name).extend(table.column(name).to_pylist())
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
        raise StoreError(f"{folder}: the trace cannot be read: {error}") from error
    return Trace(head, requests, readings)


def _head(value: Any) -> TraceHead:
    version = str(value.get("version")) if isinstance(value, dict) else "none"
    if version.split(".")[0] != TRACE_VERSION.split(".")[0]:
        raise ValueError(f"it has version {version}, this program reads {TRACE_VERSION}")
    return decode(TraceHead, value)


def _row(record: RequestRecord) -> dict[str, Any]:
    return {
        "sequence": record.sequence,
        "prompt": record.prompt,
        "batch": record.batch,
        "input_tokens": len(record.input_ids),
        "output_tokens": len(record.output_ids),
        "submitted_ns": record.submitted_ns,
        "first_token_ns": record.first_token_ns,
        "finished_ns": record.finished_ns,
        "finish_reason": record.finish_reason,
        "engine_input_tokens": record.engine_input_tokens,
        "engine_output_tokens": record.engine_output_tokens,
        "engine_queue_ms": record.engine_queue_ms,
        "engine_cached_tokens": record.engine_cached_tokens,
        "engine_drafted_tokens": record.engine_drafted_tokens,
        "engine_accepted_tokens": record.engine_accepted_tokens,
        "input_ids": list(record.input_ids),
        "output_ids": list(record.output_ids),
        "token_t_ns": list(record.token_t_ns),
    }


def _record(row: dict[str, Any]) -> RequestRecord:
    names = {field.name for field in dataclasses.fields(RequestRecord)}
    fields = {name: value for name, value in row.items() if name in names}
    fields["input_ids"] = array("i", row["input_ids"])
    fields["output_ids"] = array("i", row["output_ids"])
    fields["token_t_ns"] = array("q", row["token_t_ns"])
    return RequestRecord(**fields)
