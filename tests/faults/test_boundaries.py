"""A crash at every boundary of every file write: nothing that finished is lost, nothing is repeated, all comes out the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llenergymeasure.model.job import TrialJob, read_job
from llenergymeasure.report.observer import Several
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.study.interrupts import Interrupts
from llenergymeasure.study.journal import Journal, plan_with
from llenergymeasure.study.loop import Loop
from llenergymeasure.study.manifest import read_manifest, write_manifest
from llenergymeasure.study.summary import summarise
from llenergymeasure.testing.builders import STARTED_AT
from llenergymeasure.testing.plans import planned
from llenergymeasure.testing.trial_folders import work
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.trial.join import join

pytestmark = pytest.mark.faults

_BOUNDARIES = ("replace", "fsync", "unlink")


class PowerCutError(BaseException):
    """The process is gone at this instant: no handler of ours sees it as an error."""


class Boundaries:
    """Counts the calls that make a file durable, and cuts the power before or after one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.seen = 0
        self._at = at
        self._after = after
        self._dead = False
        for name in _BOUNDARIES:
            monkeypatch.setattr(os, name, self._counting(getattr(os, name)))

    def _counting(self, real):
        def call(*arguments, **named):
            if self._dead:  # a dead process removes no file
                raise PowerCutError
            number, self.seen = self.seen, self.seen + 1
            if number == self._at and not self._after:
                self._dead = True
                raise PowerCutError
            try:
                return real(*arguments, **named)
            finally:
                if number == self._at:
                    self._dead = True
                    raise PowerCutError

        return call


class Ended:
    def poll(self, within_s=0.0):
        return 0

    def cancel(self): ...

    kill = cancel


class InProcess:
    """A scheduler whose drivers do the whole trial in this process, on a virtual clock; it counts them."""

    def __init__(self) -> None:
        self.worked: dict[int, int] = {}

    def ahead(self, trials: Path) -> None: ...

    def submit(self, folder: Path) -> Ended:
        job = read_job(folder / "job.json")
        assert isinstance(job, TrialJob)
        self.worked[job.identity.trial] = self.worked.get(job.identity.trial, 0) + 1
        work(folder, job)
        join(folder)
        return Ended()


def _run(folder: Path, scheduler: InProcess) -> None:
    """What ``llem run`` and ``llem run --resume`` do between their plan and their last line."""
    if not (folder / "study_manifest.json").exists():
        write_manifest(folder, planned(points=2, cycles=1))
    plan = plan_with(read_manifest(folder), Journal(folder / "study_journal.jsonl").entries())
    loop = Loop(folder, plan, scheduler, VirtualClock(), Several())
    record = loop.run(loop.take_stock(), Interrupts())
    result = summarise(loop.plan, record, folder, STARTED_AT, STARTED_AT)
    (folder / "study_summary.json").write_text(result.to_json())


def _outcome(folder: Path) -> dict[int, tuple[object, ...]]:
    """What a study came to, by trial: identity, and counts that a repeated or torn trial would change."""
    found = {}
    for file in sorted(folder.glob("trials/*/result.json")):
        result = ExperimentResult.from_json(file)
        number = int(file.parent.name[:3])
        assert number not in found, "a trial has two results"
        found[number] = (
            result.measurement_config_hash,
            result.tokens.output_tokens,
            result.tokens.input_tokens,
            result.provenance["inputs"]["sha256"],
        )
    return found


def test_a_crash_at_any_boundary_changes_nothing(tmp_path, monkeypatch):
    """Wherever it happens, the resumed study has the same trials, hashes and counts; what had a trace ran once."""
    (tmp_path / "whole").mkdir()
    with monkeypatch.context() as patch:
        counted = Boundaries(patch, -1, after=False)
        _run(tmp_path / "whole", InProcess())
    expected = _outcome(tmp_path / "whole")
    assert len(expected) == 2
    assert counted.seen > 20, "the boundaries are not seen any more: the test looks at nothing"
    # After one boundary is before the next: only the last needs both.
    for at, after in (*((at, False) for at in range(counted.seen)), (counted.seen - 1, True)):
        folder = tmp_path / f"{at}-{after}"
        folder.mkdir()
        scheduler = InProcess()
        with monkeypatch.context() as patch:
            Boundaries(patch, at, after=after)
            with pytest.raises(PowerCutError):
                _run(folder, scheduler)
        complete = {int(file.parent.name[:3]) for file in folder.glob("trials/*/trace.json")}
        before = dict(scheduler.worked)
        _run(folder, scheduler)
        assert _outcome(folder) == expected, (at, after)
        assert all(scheduler.worked[number] == before[number] for number in complete), (at, after)
        assert all(count <= 2 for count in scheduler.worked.values())


def test_a_journal_cut_anywhere_loses_no_trial(tmp_path):
    """Its last line torn at any byte, or the whole file gone: the folders decide, and what ran is not repeated."""
    folder = tmp_path / "study"
    folder.mkdir()
    scheduler = InProcess()
    _run(folder, scheduler)
    expected, journal = _outcome(folder), folder / "study_journal.jsonl"
    whole = journal.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for length in (*range(last, len(whole), 17), len(whole) - 1):
        journal.write_bytes(whole[:length])
        _run(folder, scheduler)
        assert _outcome(folder) == expected
    assert scheduler.worked == {1: 1, 2: 1}
