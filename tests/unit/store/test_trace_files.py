from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.model.reading import Reading, Status
from llenergymeasure.store.trace_files import read_trace, write_trace
from llenergymeasure.testing.builders import request_record, trace


def test_columns_have_their_types_when_empty(tmp_path: Path) -> None:
    """A trial without a meter and without requests has the same columns as any other."""
    write_trace(tmp_path, trace(requests=()))
    schema = pq.read_schema(tmp_path / "readings.parquet")
    assert [(field.name, str(field.type)) for field in schema] == [
        ("t_ns", "int64"),
        ("call_ns", "int64"),
        ("channel", "int64"),
        ("value", "double"),
        ("status", "int64"),
    ]
    assert read_trace(tmp_path) == trace(requests=())


def test_a_failed_reading_stays_failed(tmp_path: Path) -> None:
    """NaN and its status come back; they do not become a missing value."""
    write_trace(tmp_path, trace(readings=[Reading(1, 2, 0, float("nan"), Status.DEVICE_LOST)]))
    (reading,) = read_trace(tmp_path).readings
    assert reading.status is Status.DEVICE_LOST and reading.value != reading.value


def test_derived_columns_are_there_for_others(tmp_path: Path) -> None:
    """A table of requests says how many tokens there were without counting lists."""
    write_trace(tmp_path, trace([request_record(input_tokens=3, output_tokens=5, first_token_ns=9)]))
    (row,) = pq.read_table(tmp_path / "requests.parquet").to_pylist()
    assert (row["input_tokens"], row["output_tokens"], row["first_token_ns"]) == (3, 5, 9)


def test_a_column_that_a_newer_version_added_is_ignored(tmp_path: Path) -> None:
    """Requests and readings with more columns are read as before."""
    write_trace(tmp_path, trace(readings=[Reading(1, 2, 0, 3.0)]))
    for name in ("requests.parquet", "readings.parquet"):
        table = pq.read_table(tmp_path / name)
        pq.write_table(table.append_column("new", pa.array([1] * table.num_rows)), tmp_path / name)
    assert read_trace(tmp_path) == trace(readings=[Reading(1, 2, 0, 3.0)])


def test_the_head_is_written_last(tmp_path: Path) -> None:
    """A folder with ``trace.json`` is whole: when a side file cannot be written there is none."""
    (tmp_path / "requests.parquet").mkdir()
    with pytest.raises(StoreError, match=r"requests\.parquet: cannot be written"):
        write_trace(tmp_path, trace())
    assert not (tmp_path / "trace.json").exists()


@pytest.mark.parametrize("version", ["3.0", None])
def test_another_major_version_is_refused(tmp_path: Path, version: str | None) -> None:
    """Facts with another meaning are not read as if they had ours."""
    write_trace(tmp_path, trace())
    head = json.loads((tmp_path / "trace.json").read_text())
    (tmp_path / "trace.json").write_text(json.dumps({**head, "version": version}))
    with pytest.raises(StoreError, match=f"version {version}, this program reads 2.0"):
        read_trace(tmp_path)


def test_a_newer_minor_version_is_read(tmp_path: Path) -> None:
    """Additions keep old readers working."""
    write_trace(tmp_path, trace())
    head = json.loads((tmp_path / "trace.json").read_text())
    (tmp_path / "trace.json").write_text(json.dumps({**head, "version": "2.7", "added": 1}))
    assert read_trace(tmp_path).head.version == "2.7"


@pytest.mark.parametrize("broken", ["trace.json", "requests.parquet", "readings.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"garbage"])
def test_a_trace_that_is_not_whole_is_an_error(tmp_path: Path, broken: str, content: bytes | None) -> None:
    """A file that is missing or broken is named by its folder."""
    write_trace(tmp_path, trace())
    (tmp_path / broken).unlink()
    if content is not None:
        (tmp_path / broken).write_bytes(content)
    with pytest.raises(StoreError, match=f"{tmp_path}: the trace cannot be read"):
        read_trace(tmp_path)


def test_a_table_of_something_else_is_an_error(tmp_path: Path) -> None:
    """A Parquet file without our columns is no trace."""
    write_trace(tmp_path, trace())
    for name in ("readings.parquet", "requests.parquet"):
        whole = (tmp_path / name).read_bytes()
        pq.write_table(pa.table({"x": [1]}), tmp_path / name)
        with pytest.raises(StoreError, match="the trace cannot be read"):
            read_trace(tmp_path)
        (tmp_path / name).write_bytes(whole)
