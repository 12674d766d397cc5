"""From what a worker left behind to why it failed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from llenergymeasure.model.codec import decode, encode
from llenergymeasure.model.event import Event, Finished, Hello, RequestDone, WindowDone
from llenergymeasure.model.folder import ERROR, WORKER_ERROR, WORKER_LOG
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.outcome import Failure, FailureKind
from llenergymeasure.store.atomic import write_text

_LOG_TAIL_BYTES = 4000


def failure_of(
    folder: Path, returncode: int, events: Sequence[Event], stopped: tuple[FailureKind, str] | None
) -> Failure | None:
    """Why the worker's trial failed, or ``None`` when the worker did all it was asked.

    A reason known from outside (a limit) comes first, then the worker's own report, then its exit status. A worker that was
    asked to stop before any request was finished did what it was asked, and measured nothing.
    """
    if stopped is None and returncode == 0 and any(isinstance(event, Finished) for event in events):
        if not _stopped_empty(events):
            return None
        stopped = ("interrupted", "stopped before a request of the window was finished")
    marks = [event.name for event in events if isinstance(event, Mark)]
    found = _from_outside(stopped) or _own_report(folder) or _from_status(returncode, events)
    return dataclasses.replace(
        found, last_mark=marks[-1] if marks else "", log_tail=log_tail(folder), exit_status=returncode
    )


def write_failure(folder: Path, failure: Failure) -> None:
    """``error.json``: makes the trial failed."""
    write_text(folder / ERROR, json.dumps(encode(failure), indent=1) + "\n")


def read_failure(folder: Path) -> Failure | None:
    """The failure of a trial folder, or ``None``."""
    try:
        return decode(Failure, json.loads((folder / ERROR).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def log_tail(folder: Path) -> str:
    """The end of what the worker and its engine printed."""
    try:
        with open(folder / WORKER_LOG, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _stopped_empty(events: Sequence[Event]) -> bool:
    by_signal = any(isinstance(event, WindowDone) and event.stopped_by == "signal" for event in events)
    return by_signal and not any(
        isinstance(event, RequestDone) and event.completion.finish_reason != "cancelled" for event in events
    )


def _from_outside(stopped: tuple[FailureKind, str] | None) -> Failure | None:
    return None if stopped is None else Failure(*stopped)


def _own_report(folder: Path) -> Failure | None:
    try:
        return decode(Failure, json.loads((folder / WORKER_ERROR).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _from_status(returncode: int, events: Sequence[Event]) -> Failure:
    if returncode < 0:
        name = _signal_name(-returncode)
        more = " (often the system running out of memory)" if name == "SIGKILL" else ""
        return Failure("killed", f"the worker was killed by {name}{more}")
    if not any(isinstance(event, Hello) for event in events):
        return Failure("no_hello", f"the worker ended with status {returncode} before it said anything")
    return Failure("exit_status", f"the worker ended with status {returncode} without a report")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return f"signal {number}"
