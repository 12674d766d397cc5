"""``readings.bin``: readings as they are taken.

The file is records of five eight-byte words in the machine's byte order. The first is the header (magic, version, words a
record, two unused); the others hold time, duration of the call, channel and status as int64 and the value as float64. A last
record that is not whole is no reading.
"""

from __future__ import annotations

import struct
import threading
from array import array
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from llenergymeasure.errors import StoreError
from llenergymeasure.model.reading import Reading, Readings

MAGIC = int.from_bytes(b"llemread", "little")
VERSION = 1
_WORDS = 5
_RECORD = struct.Struct("=qqqqd")
_HEADER = struct.pack("=5q", MAGIC, VERSION, _WORDS, 0, 0)


class ReadingsWriter:
    """Takes readings from any thread. They reach the file when ``flush`` is called, and at the end: no disk holds up a reader."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - held for the life of the writer
        self._taken: deque[Iterable[Reading]] = deque()
        self._left = memoryview(_HEADER)
        self._writing = threading.Lock()
        self.count = 0

    def append(self, readings: Iterable[Reading]) -> None:
        """Take some readings."""
        self._taken.append(readings)

    def flush(self) -> None:
        """Make what was taken visible to readers. Raises ``OSError`` on a full disk; what was not written then is kept."""
        with self._writing:
            records = [
                _RECORD.pack(reading.t_ns, reading.call_ns, reading.channel, reading.status, reading.value)
                for _ in range(len(self._taken))
                for reading in self._taken.popleft()
            ]
            self.count += len(records)
            self._left = memoryview(b"".join((self._left, *records)))
            while self._left:
                self._left = self._left[self._file.write(self._left) :]

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()


def read_readings(path: Path) -> Readings:
    """All whole readings of a file; none when there is no file. Raises ``StoreError`` for a file of another kind."""
    return ReadingsTail(path).new()


class ReadingsTail:
    """Follows a file that a meter appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Readings:
        """The readings that became whole since the last call. Raises ``StoreError`` for a file of another kind."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return Readings()
        data = data[: len(data) // _RECORD.size * _RECORD.size]
        if self._offset == 0 and data:
            if struct.unpack_from("=3q", data) != (MAGIC, VERSION, _WORDS):
                raise StoreError(f"{self._path}: not a file of readings, version {VERSION}")
            self._offset, data = _RECORD.size, data[_RECORD.size :]
        self._offset += len(data)
        return _columns(data)


def _columns(data: bytes) -> Readings:
    words, numbers = array("q"), array("d")
    words.frombytes(data)
    numbers.frombytes(data)
    return Readings(
        t_ns=words[0::_WORDS],
        call_ns=words[1::_WORDS],
        channel=words[2::_WORDS],
        status=words[3::_WORDS],
        value=numbers[4::_WORDS],
    )
