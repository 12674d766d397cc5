from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from llenergymeasure.errors import BackendError, StoreError
from llenergymeasure.model.outcome import Failure
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.trace_files import write_trace
from llenergymeasure.study.settle import settle
from llenergymeasure.testing.builders import experiment_result, trace, trial_job
from llenergymeasure.testing.trial_folders import work, write_job
from llenergymeasure.trial.failure import write_failure
from llenergymeasure.trial.join import can_join, join


def test_a_result_that_is_there_is_the_outcome(tmp_path: Path) -> None:
    """What was computed once is not computed again, whatever else lies in the folder."""
    (tmp_path / "result.json").write_text(experiment_result(rate=123.0).to_json())
    (tmp_path / "trace.json").write_text("garbage")
    outcome = settle(tmp_path)
    assert isinstance(outcome, ExperimentResult) and outcome.tokens_per_second.value == 123.0


def test_a_result_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A broken result is neither repeated nor passed over."""
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(StoreError, match="not a result"):
        settle(tmp_path)


def test_a_trace_alone_is_analysed(tmp_path: Path) -> None:
    """A trial whose host died before its analysis is complete: it gets its result and its configuration."""
    write_trace(tmp_path, trace())
    outcome = settle(tmp_path)
    assert isinstance(outcome, ExperimentResult)
    assert outcome == ExperimentResult.from_json(tmp_path / "result.json")
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"model": "m", "backend": "simulated"}
    assert settle(tmp_path) == outcome


def test_worker_files_with_their_last_mark_are_joined(tmp_path: Path) -> None:
    """A worker that came to its end is harvested after its driver died."""
    work(tmp_path)
    assert not (tmp_path / "trace.json").exists()
    outcome = settle(tmp_path)
    assert isinstance(outcome, ExperimentResult)
    assert (outcome.method.passes, outcome.tokens.requests, outcome.tokens.output_tokens) == (2, 8, 64)
    assert outcome.tokens_per_second.value == pytest.approx(64 / 14, rel=1e-3)
    assert not (tmp_path / "stamps.bin").exists()
    assert {"trace.json", "readings.parquet", "requests.parquet", "result.json"} <= set(os.listdir(tmp_path))


def test_worker_files_without_their_last_mark_are_interrupted(tmp_path: Path) -> None:
    """A worker that was killed on its way leaves a trial to run again, and nothing is written about it."""
    work(tmp_path)
    lines = (tmp_path / "events.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_text(
        "".join(line for line in lines if '"phase":"close","edge":"end"' not in line)
    )
    (tmp_path / "worker.log").write_text("Killed\n")
    before = sorted(os.listdir(tmp_path))
    outcome = settle(tmp_path)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.log_tail) == ("interrupted", "Killed\n")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("left", ["job", "nothing", "no folder"])
def test_a_trial_that_left_nothing_is_interrupted(tmp_path: Path, left: str) -> None:
    """A driver that never came to write leaves a trial to run again."""
    if left == "job":
        write_job(tmp_path)
    outcome = settle(tmp_path / "gone" if left == "no folder" else tmp_path)
    assert isinstance(outcome, Failure) and outcome.kind == "interrupted"


def test_a_failure_is_the_outcome(tmp_path: Path) -> None:
    """``error.json`` makes a trial failed, even where its worker had come to its end."""
    work(tmp_path)
    failure = Failure("meter", "the meter ended with status 1")
    write_failure(tmp_path, failure)
    assert settle(tmp_path) == failure


def test_a_worker_that_failed_is_not_joined(tmp_path: Path) -> None:
    """An error in the window leaves no last mark."""
    with pytest.raises(BackendError):
        work(tmp_path, trial_job(options={"fail": "raise", "fail_at_request": 22}))
    assert not can_join(tmp_path)


def test_a_trace_counts_more_than_a_failure_after_it(tmp_path: Path) -> None:
    """A driver that failed after its trace stood has a complete trial; the failure goes."""
    work(tmp_path)
    join(tmp_path)
    write_failure(tmp_path, Failure("internal", "the disk was full when the last line was written"))
    assert isinstance(settle(tmp_path), ExperimentResult)
    assert not (tmp_path / "error.json").exists()


def test_an_analysis_that_fails_is_stored_and_tried_again(tmp_path: Path) -> None:
    """A trace that cannot be analysed fails its trial only, stays, and may be analysed by a later version."""
    write_trace(tmp_path, trace(marks=()))
    outcome = settle(tmp_path)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.message) == ("analysis", "the trace holds no window")
    assert "Traceback" in outcome.traceback
    assert (tmp_path / "error.json").exists() and (tmp_path / "trace.json").exists()
    write_trace(tmp_path, trace())
    assert isinstance(settle(tmp_path), ExperimentResult)


def test_a_trace_that_cannot_be_joined_is_a_failure_with_its_hint(tmp_path: Path) -> None:
    """Files that do not belong together fail the trial with the words of the error."""
    work(tmp_path)
    (tmp_path / "inputs" / "inputs.bin").write_bytes(b"")
    outcome = settle(tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "analysis" and "does not match its description" in outcome.message and outcome.hint


def test_a_spoilt_events_file_is_a_failure(tmp_path: Path) -> None:
    """A line that is no event may have been a fact: no trace is made of the rest."""
    work(tmp_path)
    with open(tmp_path / "events.jsonl", "ab") as file:
        file.write(b"\xff\xfe printed by an engine\n")
    outcome = settle(tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "analysis" and "holds a line that is no event" in outcome.message
