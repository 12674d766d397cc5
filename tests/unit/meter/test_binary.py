"""The file of readings."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.meter.binary import ReadingsTail, ReadingsWriter, read_readings
from llenergymeasure.model.reading import Reading, Readings, Status

_SOME = [
    Reading(1_000_000_000_000, 20_000, 0, 123.5),
    Reading(1_000_000_000_100, 30_000, 1, math.nan, Status.DEVICE_LOST),
    Reading(9_000_000_000_000_000_000, 0, 2, -1e-300),
]


def _write(path: Path, readings: list[Reading]) -> None:
    writer = ReadingsWriter(path)
    writer.append(readings)
    writer.close()


def _rows(readings: Readings) -> list[tuple[int, int, int, str, int]]:
    return [(r.t_ns, r.call_ns, r.channel, repr(r.value), int(r.status)) for r in readings]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Times, durations, channels, values bit by bit, and statuses."""
    _write(tmp_path / "r", _SOME)
    assert _rows(read_readings(tmp_path / "r")) == _rows(Readings.of(_SOME))


def test_no_file_is_no_readings(tmp_path: Path) -> None:
    """A trial without a meter has none."""
    assert len(read_readings(tmp_path / "none")) == 0


@pytest.mark.parametrize("cut", range(1, 41))
def test_a_torn_last_record_is_ignored(tmp_path: Path, cut: int) -> None:
    """A meter that was killed in the middle of a write loses that reading and no other."""
    path = tmp_path / "r"
    _write(path, _SOME)
    path.write_bytes(path.read_bytes()[:-cut])
    assert _rows(read_readings(path)) == _rows(Readings.of(_SOME[:2]))


def test_a_torn_header_is_no_readings(tmp_path: Path) -> None:
    """Killed before the first flush was through."""
    path = tmp_path / "r"
    _write(path, _SOME)
    path.write_bytes(path.read_bytes()[:39])
    assert len(read_readings(path)) == 0


def test_another_file_is_refused(tmp_path: Path) -> None:
    """Bytes that are no readings are not turned into numbers."""
    path = tmp_path / "r"
    path.write_bytes(b"x" * 400)
    with pytest.raises(StoreError, match="not a file of readings"):
        read_readings(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    """A later layout is named, not misread."""
    path = tmp_path / "r"
    _write(path, _SOME)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(StoreError, match="version"):
        read_readings(path)


def test_a_tail_gives_each_reading_once(tmp_path: Path) -> None:
    """Following a growing file: nothing before the flush, what is new after it, nothing twice."""
    tail, writer = ReadingsTail(tmp_path / "r"), ReadingsWriter(tmp_path / "r")
    assert len(tail.new()) == 0
    writer.append(_SOME[:1])
    writer.flush()
    assert _rows(tail.new()) == _rows(Readings.of(_SOME[:1]))
    assert len(tail.new()) == 0
    writer.append(_SOME[1:])
    writer.close()
    assert _rows(tail.new()) == _rows(Readings.of(_SOME[1:]))


def test_a_tail_waits_for_the_rest_of_a_record(tmp_path: Path) -> None:
    """Half a record is read when its other half has come."""
    whole, growing = tmp_path / "whole", tmp_path / "growing"
    _write(whole, _SOME)
    data = whole.read_bytes()
    growing.write_bytes(data[:100])
    tail = ReadingsTail(growing)
    assert len(tail.new()) == 1
    growing.write_bytes(data)
    assert _rows(tail.new()) == _rows(Readings.of(_SOME[1:]))


def test_two_threads_may_append(tmp_path: Path) -> None:
    """Records of two threads are never mixed up with each other."""
    writer = ReadingsWriter(tmp_path / "r")
    threads = [
        threading.Thread(target=lambda n=n: [writer.append([Reading(n, n, n, float(n))] * 3) for _ in range(300)])
        for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    rows = _rows(read_readings(tmp_path / "r"))
    assert writer.count == len(rows) == 1800
    assert set(rows) == {(n, n, n, repr(float(n)), 0) for n in (1, 2)}
