"""Join what the processes wrote into one trace."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from llenergymeasure.errors import StoreError
from llenergymeasure.meter.binary import read_readings
from llenergymeasure.model import event as ev
from llenergymeasure.model.folder import (
    DRIVER_EVENTS,
    JOB,
    METER_EVENTS,
    METER_READINGS,
    STAMPS,
    WORKER_EVENTS,
)
from llenergymeasure.model.inputs import Inputs, read_inputs
from llenergymeasure.model.job import TrialJob, read_job
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.reading import Readings
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.model.stamps import read_stamps
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.store.trace_files import write_trace
from llenergymeasure.units import ns_to_s

E = TypeVar("E")


def can_join(folder: Path) -> bool:
    """Whether the worker of this folder reached its last mark, so that a trace can be made of what is there."""
    return any(
        isinstance(event, Mark) and event.name == "close.end" for event in ev.read_events(folder / WORKER_EVENTS)
    )


def join(folder: Path) -> Trace:
    """Make the trace, write it, and remove the raw binaries it replaces. Raises ``LLEMError`` naming what is not there."""
    job = _job(folder)
    trace = join_events(
        job,
        read_inputs(Path(job.inputs)),
        driver=_events(folder / DRIVER_EVENTS),
        worker=_events(folder / WORKER_EVENTS),
        meter=_events(folder / METER_EVENTS),
        stamps=_stamps(folder / STAMPS),
        readings=read_readings(folder / METER_READINGS),
        started_at=datetime.fromtimestamp((folder / JOB).stat().st_mtime, UTC).isoformat(),
    )
    write_trace(folder, trace)
    for name in (STAMPS, METER_READINGS):
        (folder / name).unlink(missing_ok=True)
    return trace


def join_events(
    job: TrialJob,
    inputs: Inputs,
    *,
    driver: Sequence[ev.Event],
    worker: Sequence[ev.Event],
    meter: Sequence[ev.Event],
    stamps: tuple[dict[int, array[int]], dict[int, array[int]]],
    readings: Readings,
    started_at: str,
) -> Trace:
    """The trace of these events; nothing is read or written. Raises ``StoreError`` when a needed event is missing."""
    marks = tuple(sorted((*_all(driver, Mark), *_all(worker, Mark)), key=lambda mark: mark.t_ns))
    metered = _last(meter, ev.Metered) or ev.Metered((), ())
    head = TraceHead(
        job=job,
        started_at=started_at,
        duration_s=ns_to_s(marks[-1].t_ns - marks[0].t_ns) if marks else 0.0,
        worker=_need(worker, ev.Hello).identity,
        meter=hello.identity if (hello := _last(meter, ev.Hello)) else None,
        machine=_need(driver, ev.MachineFacts).machine,
        interpreter=_need(worker, ev.EnvironmentFacts).interpreter,
        inputs=inputs.description,
        marks=marks,
        session=_need(worker, ev.SessionFacts),
        memory=_need(worker, ev.MemoryFacts),
        warmup=_need(worker, ev.WarmupDone),
        warmup_batch_s=tuple(batch.seconds for batch in _all(worker, ev.WarmupBatch)),
        window=_need(worker, ev.WindowDone),
        channels=metered.channels,
        verdicts=metered.verdicts,
        clock=tuple(_all(meter, ev.ClockTriple)),
        file_cache=_last(worker, ev.FileCache),
        meter_cost=_last(meter, ev.MeterCost),
        idle_reused=reused.idle if (reused := _last(driver, ev.IdleReused)) else None,
        power_set=_last(driver, ev.PowerSet),
        power_restored=_last(driver, ev.PowerRestored),
    )
    return Trace(head, _requests(worker, inputs, *stamps), readings)


def _requests(
    worker: Sequence[ev.Event], inputs: Inputs, tokens: dict[int, array[int]], steps: dict[int, array[int]]
) -> tuple[RequestRecord, ...]:
    submissions = {sequence: event for event in _all(worker, ev.Submission) for sequence in event.sequences}
    records = []
    for done in _all(worker, ev.RequestDone):
        completion = done.completion
        submission = submissions.get(completion.sequence)
        if submission is None:
            raise StoreError(f"request {completion.sequence} was reported finished and never submitted")
        times = tokens.get(completion.sequence)
        if times is None:
            times = steps.get(submission.batch, array("q"))[: len(completion.output_ids)]
        records.append(
            RequestRecord(
                sequence=completion.sequence,
                prompt=done.prompt,
                batch=submission.batch,
                input_ids=array("i", inputs.ids[done.prompt]),
                output_ids=array("i", completion.output_ids),
                submitted_ns=submission.t_ns,
                finished_ns=completion.finished_ns,
                token_t_ns=times,
                finish_reason=completion.finish_reason,
                engine_input_tokens=completion.engine_input_tokens,
                engine_output_tokens=completion.engine_output_tokens,
                engine_queue_ms=completion.engine_queue_ms,
                engine_cached_tokens=completion.engine_cached_tokens,
                engine_drafted_tokens=completion.engine_drafted_tokens,
                engine_accepted_tokens=completion.engine_accepted_tokens,
            )
        )
    return tuple(records)


def _job(folder: Path) -> TrialJob:
    job = read_job(folder / JOB)
    if not isinstance(job, TrialJob):
        raise StoreError(f"{folder / JOB}: not the job of a trial")
    return job


def _events(path: Path) -> tuple[ev.Event, ...]:
    """All events of a file. One that cannot be read may have been a fact that counts: it spoils the trace."""
    events = tuple(ev.read_events(path))
    broken = _last(events, ev.Unreadable)
    if broken is not None:
        raise StoreError(f"{path}: holds a line that is no event: {broken.reason}")
    return events


def _stamps(path: Path) -> tuple[dict[int, array[int]], dict[int, array[int]]]:
    try:
        return read_stamps(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: the stamps cannot be read: {error}") from error


def _all(events: Iterable[ev.Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def _last(events: Iterable[ev.Event], kind: type[E]) -> E | None:
    found = _all(events, kind)
    return found[-1] if found else None


def _need(events: Iterable[ev.Event], kind: type[E]) -> E:
    found = _last(events, kind)
    if found is None:
        raise StoreError(f"the trial left no {kind.__name__} event: it did not come to its end")
    return found
