from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llenergymeasure.model.event import EventLog, RequestDone, Submission, read_events
from llenergymeasure.model.request import Completion, Request
from llenergymeasure.model.stamps import StampWriter, read_stamps
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.worker.recorder import Recorder


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(0)


@pytest.fixture
def recorder(tmp_path: Path, clock: VirtualClock) -> Iterator[Recorder]:
    with StampWriter(tmp_path / "stamps.bin") as stamps:
        yield Recorder(clock, stamps, lambda: False)


def _requests(*sequences: int) -> list[Request]:
    return [Request(sequence, 10 + sequence, (1, 2), 4) for sequence in sequences]


def _events(recorder: Recorder, tmp_path: Path) -> list[object]:
    log = EventLog.append_to(tmp_path / "events.jsonl")
    recorder.flush(log)
    log.close()
    return list(read_events(tmp_path / "events.jsonl"))


def test_nothing_is_written_before_flush(recorder: Recorder, clock: VirtualClock, tmp_path: Path) -> None:
    """Submissions and completions wait in memory; then they are written with their prompts, in order of the requests."""
    recorder.begin(_requests(0, 1))
    clock.sleep(1)
    assert recorder.submitted(_requests(0, 1)) == 0
    clock.sleep(1)
    second = Completion(1, (5, 6), "length", recorder.now_ns())
    first = Completion(0, (7,), "stop", recorder.now_ns())
    recorder.finished(second)
    recorder.finished(first)
    assert (recorder.output_tokens, recorder.finished_requests) == (3, 2)
    assert _events(recorder, tmp_path) == [
        Submission(0, 10**9, (0, 1)),
        RequestDone(10, first),
        RequestDone(11, second),
    ]


def test_begin_forgets_and_batches_count_on(recorder: Recorder, tmp_path: Path) -> None:
    """The warm-up's records are not the window's; the numbers of batches are never used twice."""
    recorder.begin(_requests(0))
    recorder.submitted(_requests(0))
    recorder.finished(Completion(0, (1, 2, 3), "length", 1))
    recorder.begin(_requests(1))
    assert (recorder.output_tokens, recorder.finished_requests) == (0, 0)
    assert recorder.submitted(_requests(1)) == 1
    assert [event for event in _events(recorder, tmp_path) if isinstance(event, Submission)] == [Submission(1, 0, (1,))]


def test_extend_keeps_what_was_recorded(recorder: Recorder, tmp_path: Path) -> None:
    """A further pass adds to the window."""
    recorder.begin(_requests(0))
    recorder.finished(Completion(0, (1,), "length", 1))
    recorder.extend(_requests(1))
    recorder.finished(Completion(1, (1,), "length", 2))
    assert [event.prompt for event in _events(recorder, tmp_path) if isinstance(event, RequestDone)] == [10, 11]


def test_cancelled_requests_are_not_finished(recorder: Recorder) -> None:
    """What was cut counts its tokens and is not a finished request."""
    recorder.begin(_requests(0, 1))
    recorder.finished(Completion(0, (1, 2), "cancelled", 1))
    recorder.finished(Completion(1, (1,), "error", 1))
    assert (recorder.output_tokens, recorder.finished_requests) == (3, 1)


def test_stamps_go_into_the_file_at_once(recorder: Recorder, clock: VirtualClock, tmp_path: Path) -> None:
    """Tokens and steps are stamped with the clock's time, with room for a whole batch."""
    recorder.begin(_requests(0, 1))
    for _ in range(4):
        clock.sleep(1)
        recorder.step(3)
        recorder.token(0)
    tokens, steps = read_stamps(tmp_path / "stamps.bin")
    assert list(tokens[0]) == list(steps[3]) == [10**9, 2 * 10**9, 3 * 10**9, 4 * 10**9]


def test_stopping_is_passed_on(tmp_path: Path, clock: VirtualClock) -> None:
    """A session learns through its sink that no further batch should begin."""
    answers = iter([False, True])
    with StampWriter(tmp_path / "stamps.bin") as stamps:
        recorder = Recorder(clock, stamps, lambda: next(answers))
        assert [recorder.stopping(), recorder.stopping()] == [False, True]


def test_a_session_may_report_from_threads(recorder: Recorder) -> None:
    """Every submission gets a number of its own and every completion is kept."""
    recorder.begin(_requests(*range(400)))
    batches: list[int] = []

    def report(begin: int) -> None:
        for sequence in range(begin, begin + 100):
            batches.append(recorder.submitted(_requests(sequence)))
            recorder.token(sequence)
            recorder.finished(Completion(sequence, (1,), "length", recorder.now_ns()))

    threads = [threading.Thread(target=report, args=(begin,)) for begin in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(batches) == list(range(400))
    assert recorder.finished_requests == 400
