from __future__ import annotations

import dataclasses
import json
from array import array
from pathlib import Path

import pytest

from llenergymeasure.errors import LLEMError
from llenergymeasure.model.inputs import Inputs, ids_sha256, pack_ids, read_inputs, write_inputs
from llenergymeasure.model.job import ConvertJob, ModelRef, PrepareJob, ProbeJob, TrialJob, job_text, read_job
from llenergymeasure.model.mark import Interval, Mark, interval_of
from llenergymeasure.model.reading import Reading, Readings, Status
from llenergymeasure.testing.builders import prepared_inputs, request_record, trial_job

# --- inputs


def test_inputs_come_back(tmp_path: Path) -> None:
    """What was prepared is what every trial gets."""
    inputs = prepared_inputs((3, 1, 4), n=2)
    write_inputs(tmp_path, inputs.description, pack_ids(inputs.ids))
    read = read_inputs(tmp_path)
    assert read == inputs
    assert (len(read.window), len(read.warmup)) == (2, 1)
    assert read.window + read.warmup == read.ids


def test_ids_are_little_endian_int32() -> None:
    """The bytes are the same on every machine."""
    assert pack_ids([(1, 258), (3,)]) == bytes([1, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0])


def test_hash_knows_where_prompts_end() -> None:
    """The same ids cut into other prompts are other inputs."""
    packed = pack_ids([(1, 2, 3)])
    assert ids_sha256(packed, (3,)) != ids_sha256(packed, (1, 2))


def test_ids_that_were_changed_are_refused(tmp_path: Path) -> None:
    """Ids and description that do not belong together are an error that says what to do."""
    inputs = prepared_inputs()
    write_inputs(tmp_path, inputs.description, pack_ids(inputs.ids)[:-4] + b"\0\0\0\0")
    with pytest.raises(LLEMError, match="does not match its description") as caught:
        read_inputs(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_inputs_that_cannot_be_read_name_their_folder(tmp_path: Path, text: str | None) -> None:
    """A missing or broken description is an error with its place."""
    if text is not None:
        (tmp_path / "inputs.json").write_text(text)
    with pytest.raises(LLEMError, match=f"{tmp_path}: the prepared inputs cannot be read"):
        read_inputs(tmp_path)


def test_no_prompt_for_the_warm_up_is_an_empty_pool() -> None:
    """All prompts may be the window's."""
    inputs = Inputs(dataclasses.replace(prepared_inputs().description, n=9), prepared_inputs().ids)
    assert len(inputs.window) == 4 and inputs.warmup == ()


# --- jobs

_MODEL = ModelRef("m", "/models/m", "directory")


@pytest.mark.parametrize(
    "job",
    [
        trial_job(options={"concurrency": 2}),
        ProbeJob("pytorch"),
        PrepareJob("pytorch", _MODEL, 2, 1, None),
        ConvertJob("pytorch", _MODEL, "/there"),
    ],
    ids=lambda job: job.kind,
)
def test_job_comes_back(tmp_path: Path, job: TrialJob | ProbeJob) -> None:
    """A job is read as what it was written as."""
    (tmp_path / "job.json").write_text(job_text(job))
    assert read_job(tmp_path / "job.json") == job


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not a JSON line"),
        ("[]", "not a JSON object"),
        ("{}", "protocol version None, this program speaks 1"),
        ('{"protocol_version": 2, "kind": "probe"}', "protocol version 2"),
        ('{"protocol_version": 1, "kind": "dance"}', "'dance' is not one of trial, meter, probe"),
        ('{"protocol_version": 1, "kind": []}', "is not one of"),
        ('{"protocol_version": 1, "kind": "probe"}', r"\$\.backend: missing"),
    ],
)
def test_what_is_not_a_job_names_the_file(tmp_path: Path, text: str, why: str) -> None:
    """A worker that gets no job it understands says which file and why."""
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(LLEMError, match=f"{path}: not a job: .*{why}"):
        read_job(path)


def test_a_job_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing job is the same kind of error."""
    with pytest.raises(LLEMError, match="not a job"):
        read_job(tmp_path / "job.json")


def test_job_is_one_line_of_ascii(tmp_path: Path) -> None:
    """A path of any bytes fits into a job."""
    text = job_text(ConvertJob("pytorch", ModelRef("m", "/modèles/\udcff", "gguf"), "/là"))
    assert text.isascii() and json.loads(text)["destination"] == "/là"


# --- marks


def test_interval_between_two_marks() -> None:
    """A phase lasts from its begin to its end."""
    found = interval_of(
        (Mark("window", "begin", 10**9), Mark("load", "end", 5), Mark("window", "end", 3 * 10**9)), "window"
    )
    assert found == Interval(10**9, 3 * 10**9) and found.duration_s == 2.0


def test_half_a_phase_is_no_interval() -> None:
    """A phase that did not end has no interval."""
    assert interval_of((Mark("window", "begin", 1),), "window") is None
    assert Mark("window", "begin", 1).name == "window.begin"


# --- readings and requests


def test_readings_in_columns() -> None:
    """Readings go into columns and come out as they were."""
    readings = [Reading(1, 2, 0, 3.5), Reading(4, 1, 1, float("nan"), Status.FAILED)]
    columns = Readings.of(readings)
    assert len(columns) == 2
    first, second = columns
    assert first == readings[0]
    assert (second.status, second.t_ns) == (Status.FAILED, 4) and second.value != second.value
    assert columns.channel == array("q", [0, 1])


def test_first_token_time() -> None:
    """The first token's time is that of the first stamp, and missing where nobody observed it."""
    assert request_record(first_token_ns=7).first_token_ns == 7
    assert request_record(observed=False).first_token_ns is None
