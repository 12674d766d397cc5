"""How much of a model's files the operating system holds in memory already: it decides how long loading takes."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from llenergymeasure.model.event import FileCache


def file_cache(path: str) -> FileCache | None:
    """Bytes of the files at ``path`` (a directory's own files, or one file), and how many of them are in memory.

    Asked of the kernel by ``mincore`` (Linux man-pages, mincore(2)). ``None`` where it cannot be known: another system, no such
    files, or files of somebody else, for which the kernel answers "all" whatever is true.
    """
    if not hasattr(os, "sched_getaffinity"):  # Linux: elsewhere mincore means something else
        return None
    found = Path(path)
    files = [file for file in found.iterdir() if file.is_file()] if found.is_dir() else [found]
    total = resident = 0
    with suppress(OSError, AttributeError):
        for size, held in map(_resident, _readable(files)):
            total, resident = total + size, resident + held
        return FileCache(total, resident) if total else None
    return None


def _readable(files: Iterable[Path]) -> list[Path]:
    """Those that hold something. Raises ``OSError`` when one is not ours: nothing can be said of the whole then."""
    held = [file for file in files if file.stat().st_size]
    for file in held:
        if not os.access(file, os.W_OK) and file.stat().st_uid != os.geteuid():
            raise PermissionError(f"{file}: not ours")
    return held


def _resident(file: Path) -> tuple[int, int]:
    """(size, bytes in memory) of one file."""
    size, page = file.stat().st_size, mmap.PAGESIZE
    pages = -(-size // page)
    held = (ctypes.c_ubyte * pages)()
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        address = ctypes.addressof(first)
        del first
        if ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), held):
            raise OSError(ctypes.get_errno(), "mincore")
    return size, min(size, page * sum(entry & 1 for entry in held))
