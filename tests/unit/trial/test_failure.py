from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from llenergymeasure.model.codec import to_line
from llenergymeasure.model.event import Event, Finished, Hello, RequestDone, WindowDone
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.outcome import Failure
from llenergymeasure.model.request import Completion
from llenergymeasure.testing.builders import process_identity
from llenergymeasure.trial.failure import failure_of, log_tail, read_failure, write_failure

_HELLO = Hello(process_identity())
_MARKS = (Mark("load", "begin", 1), Mark("load", "end", 2))
_DONE = RequestDone(0, Completion(9, (1, 2), "length", 5))
_CANCELLED = RequestDone(0, Completion(9, (1,), "cancelled", 5))


def test_a_worker_that_did_all_it_was_asked_has_not_failed(tmp_path: Path) -> None:
    """Exit status 0 with the last event is success."""
    assert failure_of(tmp_path, 0, (_HELLO, *_MARKS, Finished("trial")), None) is None


@pytest.mark.parametrize(
    ("returncode", "events", "kind", "words"),
    [
        (-signal.SIGSEGV, (_HELLO,), "killed", "killed by SIGSEGV"),
        (-signal.SIGKILL, (_HELLO,), "killed", "SIGKILL (often the system running out of memory)"),
        (-40, (_HELLO,), "killed", "killed by signal 40"),
        (1, (), "no_hello", "status 1 before it said anything"),
        (3, (_HELLO,), "exit_status", "status 3 without a report"),
        (0, (_HELLO,), "exit_status", "status 0 without a report"),
    ],
)
def test_what_an_exit_status_says(
    tmp_path: Path, returncode: int, events: Sequence[Event], kind: str, words: str
) -> None:
    """A worker that left no report is described by how it ended."""
    failure = failure_of(tmp_path, returncode, events, None)
    assert failure is not None
    assert (failure.kind, failure.exit_status) == (kind, returncode)
    assert words in failure.message


def test_the_workers_own_report_comes_before_its_status(tmp_path: Path) -> None:
    """What the worker said is kept, with the last mark and the end of its log added."""
    (tmp_path / "worker_error.json").write_text(
        to_line(Failure("out_of_memory", "too big", hint="fewer", traceback="t"))
    )
    (tmp_path / "worker.log").write_text("allocating\n")
    failure = failure_of(tmp_path, 1, (_HELLO, *_MARKS), None)
    assert failure == Failure("out_of_memory", "too big", "fewer", "t", "load.end", "allocating\n", 1)


def test_a_limit_comes_before_the_workers_own_report(tmp_path: Path) -> None:
    """A worker killed for its silence failed for its silence, even when it ended well in the meantime."""
    (tmp_path / "worker_error.json").write_text(to_line(Failure("internal", "killed while writing")))
    for returncode, events in ((-9, (_HELLO,)), (0, (_HELLO, Finished("trial")))):
        failure = failure_of(tmp_path, returncode, events, ("silent", "no sign of life"))
        assert failure is not None and (failure.kind, failure.message) == ("silent", "no sign of life")


def test_a_report_that_is_half_written_is_not_one(tmp_path: Path) -> None:
    """A worker that was killed while it wrote its report is judged by its status."""
    (tmp_path / "worker_error.json").write_text('{"kind": "inter')
    failure = failure_of(tmp_path, -9, (_HELLO,), None)
    assert failure is not None and failure.kind == "killed"


@pytest.mark.parametrize(
    ("stopped_by", "done", "kind"),
    [
        ("signal", (), "interrupted"),
        ("signal", (_CANCELLED,), "interrupted"),
        ("signal", (_DONE, _CANCELLED), None),
        ("length", (), None),
    ],
)
def test_a_window_that_was_stopped_empty_is_interrupted(
    tmp_path: Path, stopped_by: str, done: Sequence[Event], kind: str | None
) -> None:
    """A worker stopped before it finished a request measured nothing, and its trial has to run again."""
    events = (_HELLO, *_MARKS, *done, WindowDone(0, True, stopped_by), Finished("trial"))  # type: ignore[arg-type]
    failure = failure_of(tmp_path, 0, events, None)
    assert (failure and failure.kind) == kind


def test_failure_on_disk(tmp_path: Path) -> None:
    """A failure is read as it was written."""
    failure = Failure("killed", "é \udcff", "hint", "trace", "load.end", "log", -9)
    write_failure(tmp_path, failure)
    assert read_failure(tmp_path) == failure
    assert json.loads((tmp_path / "error.json").read_text())["exit_status"] == -9


@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_no_failure_on_disk(tmp_path: Path, content: str | None) -> None:
    """Without a whole ``error.json`` there is no failure to read."""
    if content is not None:
        (tmp_path / "error.json").write_text(content)
    assert read_failure(tmp_path) is None


def test_log_tail_is_short_and_never_fails(tmp_path: Path) -> None:
    """The end of a log of any size and any bytes is text."""
    assert log_tail(tmp_path) == ""
    (tmp_path / "worker.log").write_bytes(b"x" * 10_000_000 + b"\xff\xfe the end")
    tail = log_tail(tmp_path)
    assert len(tail) == 4000 and tail.endswith("\ufffd\ufffd the end")
