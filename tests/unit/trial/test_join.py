from __future__ import annotations

import dataclasses
from array import array
from pathlib import Path

import pytest

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.errors import LLEMError, StoreError
from llenergymeasure.meter.binary import ReadingsWriter
from llenergymeasure.model.event import (
    ClockTriple,
    EventLog,
    Finished,
    Hello,
    Metered,
    RequestDone,
    SessionFacts,
    event_line,
    parse_event,
    read_events,
)
from llenergymeasure.model.job import ProbeJob, job_text
from llenergymeasure.model.mark import Mark, interval_of
from llenergymeasure.model.reading import Channel, Reading, SourceVerdict
from llenergymeasure.model.request import Completion
from llenergymeasure.model.trace import Trace
from llenergymeasure.store.trace_files import read_trace
from llenergymeasure.testing.builders import prepared_inputs, process_identity, trial_job
from llenergymeasure.testing.trial_folders import work
from llenergymeasure.trial.join import can_join, join

_CHANNEL = Channel(0, "simulated", "package", "cpu", "a CPU", "counter", "J", 10.0)
_STEP_NS, _TOKEN_NS = 10**9, 10**4


def _worked(folder: Path, *, batching: str = "engine", **options: object) -> Trace:
    job = trial_job(options={"batching": batching, "concurrency": 2, "decode_seconds_per_step": 1.0, **options})
    work(folder, job)
    return join(folder)


def test_the_trace_is_what_was_written(tmp_path: Path) -> None:
    """The joined trace is on disk, and the raw binaries that it replaces are gone."""
    trace = _worked(tmp_path)
    assert read_trace(tmp_path) == trace
    assert not (tmp_path / "stamps.bin").exists()
    assert can_join(tmp_path)


def test_requests_of_the_window_only(tmp_path: Path) -> None:
    """Warm-up requests are left out; the others have their prompt's ids and follow each other in order."""
    trace = _worked(tmp_path)
    first = trace.requests[0].sequence
    assert first > 0
    assert [request.sequence for request in trace.requests] == list(range(first, first + len(trace.requests)))
    ids = prepared_inputs().ids
    assert [tuple(request.input_ids) for request in trace.requests] == [
        ids[request.prompt] for request in trace.requests
    ]


def test_engine_batching_gives_each_request_its_own_times(tmp_path: Path) -> None:
    """Times of tokens are those of the simulation, exactly."""
    request = _worked(tmp_path).requests[0]
    gaps = [after - before for before, after in zip(request.token_t_ns, request.token_t_ns[1:], strict=False)]
    assert request.token_t_ns[0] - request.submitted_ns == 3 * _TOKEN_NS
    assert len(gaps) == 7 and set(gaps[1:]) == {_STEP_NS}


def test_static_batches_share_their_steps(tmp_path: Path) -> None:
    """Requests of one batch have its times, each as many as it has tokens, and the number of their batch."""
    job = trial_job(options={"batching": "static", "concurrency": 2, "decode_seconds_per_step": 1.0})
    work(tmp_path, job, prepared_inputs(limits=[2, 5, None, None]))
    short, long, *others = join(tmp_path).requests[:4]
    assert (len(short.token_t_ns), len(long.token_t_ns)) == (2, 5)
    assert long.token_t_ns[:2] == short.token_t_ns
    assert short.batch == long.batch != others[0].batch == others[1].batch
    assert short.finished_ns == long.finished_ns == long.token_t_ns[-1]


def test_tokens_that_nobody_observed_have_no_times(tmp_path: Path) -> None:
    """Without stamps a request has its ids and no times."""
    request = _worked(tmp_path, token_times=False).requests[0]
    assert request.token_t_ns == array("q") and len(request.output_ids) == 8


def test_the_meters_facts_are_joined(tmp_path: Path) -> None:
    """Channels, verdicts, clocks and readings of the meter are in the trace; its binary goes."""
    work(tmp_path)
    verdict, triple = SourceVerdict("simulated", True, "a test", True), ClockTriple(1, 2, 3)
    meter = EventLog.append_to(tmp_path / "meter.jsonl")
    for event in (Hello(process_identity(pid=7)), Metered((verdict,), (_CHANNEL,)), triple):
        meter.write(event)
    meter.close()
    writer = ReadingsWriter(tmp_path / "readings.bin")
    writer.append([Reading(5, 1, 0, 2.5)])
    writer.close()
    trace = join(tmp_path)
    assert trace.head.meter is not None and trace.head.meter.pid == 7
    assert (trace.head.channels, trace.head.verdicts, trace.head.clock) == ((_CHANNEL,), (verdict,), (triple,))
    assert list(trace.readings) == [Reading(5, 1, 0, 2.5)]
    assert not (tmp_path / "readings.bin").exists()


def test_the_drivers_marks_come_first(tmp_path: Path) -> None:
    """The idle before the worker is the driver's, and the whole trial lasts from its begin."""
    work(tmp_path)
    driver = EventLog.append_to(tmp_path / "driver.jsonl")
    driver.write(Mark("idle", "begin", 10**9))
    driver.write(Mark("idle", "end", 6 * 10**9))
    driver.close()
    head = join(tmp_path).head
    assert [mark.name for mark in head.marks[:3]] == ["idle.begin", "idle.end", "load.begin"]
    idle = interval_of(head.marks, "idle")
    assert idle is not None and idle.duration_s == 5.0
    assert head.duration_s == (head.marks[-1].t_ns - 10**9) / 1e9


@pytest.mark.parametrize("changes", [{"boot_id": "another boot"}, {"time_namespace": 99}], ids=["boot", "namespace"])
def test_a_worker_on_another_clock_gives_an_invalid_result(tmp_path: Path, changes: dict[str, object]) -> None:
    """Stamps that cannot be compared make a result that says so, not a crash."""
    work(tmp_path)
    meter = EventLog.append_to(tmp_path / "meter.jsonl")
    meter.write(Hello(process_identity(**changes)))
    meter.write(Metered((), (_CHANNEL,)))
    meter.close()
    writer = ReadingsWriter(tmp_path / "readings.bin")
    writer.append([Reading(t * 10**17, 1, 0, float(t)) for t in range(1, 9)])
    writer.close()
    result = analyse(join(tmp_path))
    assert not result.validity.valid
    assert "clock_offset" in {remark.code for remark in result.validity.remarks}
    assert result.energy_total_j.value is None and result.tokens_per_second.value is not None


# --- what cannot be joined


def test_a_worker_that_did_not_close_cannot_be_joined(tmp_path: Path) -> None:
    """Without the last mark there is no trace to make; without any file neither."""
    assert not can_join(tmp_path)
    work(tmp_path)
    lines = (tmp_path / "events.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_text("".join(lines[:-2]))
    assert not can_join(tmp_path)


def _without(folder: Path, kind: type) -> None:
    events = [event for event in read_events(folder / "events.jsonl") if not isinstance(event, kind)]
    (folder / "events.jsonl").write_text("".join(map(event_line, events)))


@pytest.mark.parametrize("kind", [Hello, SessionFacts], ids=lambda kind: kind.__name__)
def test_a_missing_event_is_named(tmp_path: Path, kind: type) -> None:
    """A trace lacks nothing: what the worker did not say is an error."""
    work(tmp_path)
    _without(tmp_path, kind)
    with pytest.raises(StoreError, match=f"left no {kind.__name__} event"):
        join(tmp_path)
    assert not (tmp_path / "trace.json").exists()


def test_a_request_that_was_never_submitted_is_an_error(tmp_path: Path) -> None:
    """A session that reports what it was not given is found out."""
    work(tmp_path)
    with open(tmp_path / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(event_line(RequestDone(0, Completion(10**6, (1,), "length", 1))))
    with pytest.raises(StoreError, match="request 1000000 was reported finished and never submitted"):
        join(tmp_path)


def test_a_broken_line_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """No fact is passed over silently."""
    work(tmp_path)
    path = tmp_path / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], "{]\n", *lines[5:]]))
    with pytest.raises(StoreError, match=r"events\.jsonl: holds a line that is no event"):
        join(tmp_path)


@pytest.mark.parametrize("content", [None, b"garbage"])
def test_stamps_that_cannot_be_read_are_an_error(tmp_path: Path, content: bytes | None) -> None:
    """Missing or foreign stamps are named."""
    work(tmp_path)
    (tmp_path / "stamps.bin").unlink()
    if content is not None:
        (tmp_path / "stamps.bin").write_bytes(content)
    with pytest.raises(StoreError, match="the stamps cannot be read"):
        join(tmp_path)


def test_another_kind_of_job_is_not_a_trial(tmp_path: Path) -> None:
    """A folder of a probe has no trace."""
    (tmp_path / "job.json").write_text(job_text(ProbeJob("simulated")))
    with pytest.raises(StoreError, match="not the job of a trial"):
        join(tmp_path)


def test_no_job_is_an_error(tmp_path: Path) -> None:
    """A folder without a job is none of ours."""
    with pytest.raises(LLEMError, match="not a job"):
        join(tmp_path)


def test_events_that_this_version_does_not_know_do_no_harm(tmp_path: Path) -> None:
    """A newer worker may say more."""
    work(tmp_path)
    line = '{"event":"FromTheFuture"}\n'
    with open(tmp_path / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(line)
    assert parse_event(line) is None
    assert join(tmp_path).requests
    assert Finished("trial") in tuple(read_events(tmp_path / "events.jsonl"))
    assert dataclasses.is_dataclass(read_trace(tmp_path).head)
