"""Stamps: instants of tokens, written into a memory-mapped file so that stamping costs no system call.

The file is a header of eight int64 (magic, version, number of records, five unused) and records of two int64: the monotonic
time, and a code that is ``2·sequence`` for one token of a request or ``2·batch + 1`` for one step of a static batch, in
which every request that has not ended gets one token. A reader in another process sees each record as soon as its count
has been written.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from array import array
from pathlib import Path
from types import TracebackType

MAGIC = int.from_bytes(b"llemstmp", "little")
VERSION = 1
_HEADER_WORDS = 8
_RECORD_WORDS = 2
_WORD = 8
_COUNT = 2


class StampWriter:
    """Stamps of one trial. ``token`` and ``step`` may be called from several threads.

    ``reserve`` makes room before a batch is submitted; it is the only call that may touch the file system, and raises
    ``OSError`` (``ENOSPC`` on a full disk) there instead of killing the process in the middle of a write.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b")  # noqa: SIM115 - held for the life of the writer
        self._lock = threading.Lock()
        self._records = 0
        self._capacity = 0
        self._map: mmap.mmap | None = None
        self._words: memoryview | None = None
        try:
            self.reserve(0)
        except OSError:
            self._file.close()
            raise
        words = self._mapped()
        words[0], words[1], words[_COUNT] = MAGIC, VERSION, 0

    def reserve(self, records: int) -> None:
        """Make sure that ``records`` more fit. When it raises, what was there before still works."""
        with self._lock:
            needed = self._records + records
            if self._map is not None and needed <= self._capacity:
                return
            capacity = max(needed, 4096)
            size = _size(capacity)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, size)
            else:
                os.ftruncate(self._file.fileno(), size)
            self._unmap()
            self._map = mmap.mmap(self._file.fileno(), size)
            self._words = memoryview(self._map).cast("q")
            self._capacity = capacity

    def token(self, sequence: int, t_ns: int) -> None:
        """One token of request ``sequence`` appeared at ``t_ns``."""
        self._write(t_ns, 2 * sequence)

    def step(self, batch: int, t_ns: int) -> None:
        """One step of static batch ``batch`` ended at ``t_ns``."""
        self._write(t_ns, 2 * batch + 1)

    def _write(self, t_ns: int, code: int) -> None:
        with self._lock:
            words = self._mapped()
            place = _HEADER_WORDS + _RECORD_WORDS * self._records
            words[place] = t_ns
            words[place + 1] = code
            self._records += 1
            words[_COUNT] = self._records

    def _mapped(self) -> memoryview:
        assert self._words is not None, "the stamp file is closed"
        return self._words

    def _unmap(self) -> None:
        if self._words is not None:
            self._words.release()
        if self._map is not None:
            self._map.close()
        self._words = self._map = None

    def close(self) -> None:
        """Release the mapping and cut the file to the records written."""
        if self._map is None:
            return
        self._unmap()
        os.ftruncate(self._file.fileno(), _size(self._records))
        self._file.close()

    def __enter__(self) -> StampWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _size(records: int) -> int:
    return (_HEADER_WORDS + records * _RECORD_WORDS) * _WORD


def count_stamps(path: Path) -> int:
    """How many records a (perhaps still growing) stamp file holds; 0 when there is none yet."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_WORDS * _WORD)
    except OSError:
        return 0
    if len(header) < _HEADER_WORDS * _WORD:
        return 0
    magic, version, count = struct.unpack_from("=3q", header)
    return count if magic == MAGIC and version == VERSION else 0


def read_stamps(path: Path) -> tuple[dict[int, array[int]], dict[int, array[int]]]:
    """(token times by request, step times by batch), in the order written. Raises ``ValueError`` for another or a torn file."""
    data = path.read_bytes()
    words = array("q")
    words.frombytes(data[: len(data) // _WORD * _WORD])
    if len(words) < _HEADER_WORDS or words[0] != MAGIC or words[1] != VERSION:
        raise ValueError(f"{path}: not a stamp file of version {VERSION}")
    tokens: dict[int, array[int]] = {}
    steps: dict[int, array[int]] = {}
    end = _HEADER_WORDS + _RECORD_WORDS * words[_COUNT]
    if end > len(words):
        raise ValueError(f"{path}: cut short: {words[_COUNT]} stamps were written")
    for place in range(_HEADER_WORDS, end, _RECORD_WORDS):
        t_ns, code = words[place], words[place + 1]
        (steps if code % 2 else tokens).setdefault(code // 2, array("q")).append(t_ns)
    return tokens, steps
