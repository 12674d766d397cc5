"""The journal: what happened to each trial, appended and flushed as it happens. A torn last line is ignored."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llenergymeasure.clock import utc_now
from llenergymeasure.errors import StoreError
from llenergymeasure.model.codec import CodecError, decode, from_line, to_line

Happening = Literal["running", "completed", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``trial`` is ``None`` for what concerns the whole study; ``folder`` is the trial's folder's name."""

    event: Happening
    trial: int | None
    attempt: int | None
    at: str
    folder: str | None = None
    detail: str = ""


class Journal:
    """The journal of one study. It has one writer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> tuple[Entry, ...]:
        """All whole entries in order. Raises ``StoreError`` when the file is there and cannot be read."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read: {error.strerror}") from error
        return tuple(_whole(lines))

    def running(self, trial: int, attempt: int, folder: str) -> None:
        self._append("running", trial, attempt, folder)

    def completed(self, trial: int, attempt: int, folder: str) -> None:
        self._append("completed", trial, attempt, folder)

    def failed(self, trial: int, attempt: int, folder: str, detail: str) -> None:
        self._append("failed", trial, attempt, folder, detail)

    def stopped(self, detail: str) -> None:
        self._append("stopped", None, None, None, detail)

    def _append(
        self, event: Happening, trial: int | None, attempt: int | None, folder: str | None, detail: str = ""
    ) -> None:
        line = to_line(Entry(event, trial, attempt, utc_now().isoformat(), folder, detail))
        try:
            with open(self._path, "ab+") as file:
                if file.tell() and _last_byte(self._path) != b"\n":
                    file.write(b"\n")  # a torn line stays alone on its own
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(
                f"{self._path}: cannot be written: {error.strerror}", hint="free space and resume"
            ) from error


def _last_byte(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _whole(lines: Iterable[str]) -> Iterable[Entry]:
    for line in lines:
        try:
            yield decode(Entry, from_line(line))
        except CodecError:
            continue
