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
from llenergymeasure.plan.extend import Planned, extended
from llenergymeasure.plan.plan import Plan

Happening = Literal["planned", "dropped", "running", "completed", "failed", "stopped", "resumed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``trial`` is ``None`` for what concerns the whole study; ``folder`` is the trial's folder's name.

    ``planned`` is a trial that was added to the plan, with its experiment where the plan did not have it.
    """

    event: Happening
    trial: int | None
    attempt: int | None
    at: str
    folder: str | None = None
    detail: str = ""
    planned: Planned | None = None


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

    def planned(self, planned: Iterable[Planned], detail: str) -> None:
        """Add trials to the plan, all at once."""
        now = utc_now().isoformat()
        self._append(*(Entry("planned", one.trial.number, None, now, None, detail, one) for one in planned))

    def dropped(self, trials: Iterable[int], detail: str) -> None:
        """Leave trials out of the plan, all at once."""
        now = utc_now().isoformat()
        self._append(*(Entry("dropped", trial, None, now, None, detail) for trial in trials))

    def running(self, trial: int, attempt: int, folder: str) -> None:
        self._append(Entry("running", trial, attempt, utc_now().isoformat(), folder))

    def completed(self, trial: int, attempt: int, folder: str) -> None:
        self._append(Entry("completed", trial, attempt, utc_now().isoformat(), folder))

    def failed(self, trial: int, attempt: int, folder: str, detail: str) -> None:
        self._append(Entry("failed", trial, attempt, utc_now().isoformat(), folder, detail))

    def stopped(self, detail: str) -> None:
        self._append(Entry("stopped", None, None, utc_now().isoformat(), None, detail))

    def resumed(self, detail: str) -> None:
        """The study goes on with something that is not as it was."""
        self._append(Entry("resumed", None, None, utc_now().isoformat(), None, detail))

    def _append(self, *entries: Entry) -> None:
        lines = "".join(map(to_line, entries)).encode()
        try:
            with open(self._path, "ab+") as file:
                if file.tell() and _last_byte(self._path) != b"\n":
                    file.write(b"\n")  # a torn line stays alone on its own
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(
                f"{self._path}: cannot be written: {error.strerror}", hint="free space and resume"
            ) from error


def plan_with(plan: Plan, entries: Iterable[Entry]) -> Plan:
    """The plan of a manifest as the journal has changed it since."""
    entries = tuple(entries)
    planned = [entry.planned for entry in entries if entry.planned is not None]
    dropped = [entry.trial for entry in entries if entry.event == "dropped" and entry.trial is not None]
    return extended(plan, planned, dropped)


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
