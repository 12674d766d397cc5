"""The loop over the trials of a plan: submit, wait, settle, journal; minus what is done already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from llenergymeasure.clock import Clock
from llenergymeasure.model.event import EventTail
from llenergymeasure.model.folder import JOB, STAMPS, WORKER_EVENTS
from llenergymeasure.model.job import job_text
from llenergymeasure.model.outcome import Failure
from llenergymeasure.model.stamps import count_stamps
from llenergymeasure.plan.order import PlannedTrial
from llenergymeasure.plan.plan import Plan, PlannedExperiment, job_for
from llenergymeasure.schedulers.contract import Handle, Scheduler
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.atomic import write_text
from llenergymeasure.store.layout import INPUTS_FOLDER, JOURNAL, TRIALS_FOLDER, trial_folder_name
from llenergymeasure.study.interrupts import Interrupts
from llenergymeasure.study.journal import Journal
from llenergymeasure.study.observer import Live, Observer
from llenergymeasure.study.settle import is_settled, settle
from llenergymeasure.units import ns_to_s

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Stopping:
    """When the loop ends before the plan does."""

    max_seconds: float | None = None
    max_consecutive_failures: int | None = None


@dataclass(slots=True)
class Record:
    """What the loop has: one outcome a trial, by the trial's number, with its folder's name; and why it ended early."""

    outcomes: dict[int, ExperimentResult | Failure] = field(default_factory=dict)
    folders: dict[int, str] = field(default_factory=dict)
    stopped: str = ""
    interrupted: bool = False


class Loop:
    """One study's trials. ``retry_failed`` runs again what failed before; what completed is never repeated."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        scheduler: Scheduler,
        clock: Clock,
        observer: Observer,
        *,
        retry_failed: bool = False,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._scheduler = scheduler
        self._clock = clock
        self._observer = observer
        self._retry_failed = retry_failed
        self._journal = Journal(folder / JOURNAL)
        self.record = Record()

    def run(self, stopping: Stopping, interrupts: Interrupts) -> Record:
        """Run what is left of the plan."""
        begin_ns, in_a_row = self._clock.now_ns(), 0
        for trial, attempt in self.left():
            if stopping.max_seconds is not None and ns_to_s(self._clock.now_ns() - begin_ns) >= stopping.max_seconds:
                self.record.stopped = f"the time budget of {stopping.max_seconds:g} s is used"
                break
            outcome = self._run_trial(trial, attempt, interrupts)
            in_a_row = in_a_row + 1 if isinstance(outcome, Failure) else 0
            if interrupts.count:
                self.record.stopped, self.record.interrupted = "interrupted", True
                break
            if stopping.max_consecutive_failures is not None and in_a_row >= stopping.max_consecutive_failures:
                self.record.stopped = f"{in_a_row} trials failed in a row"
                break
        if self.record.stopped:
            self._journal.stopped(self.record.stopped)
        return self.record

    def left(self) -> Iterator[tuple[PlannedTrial, int]]:
        """The trials that must run, each with the number of its attempt; the others enter the record as they are."""
        attempts: dict[int, tuple[int, str]] = {}
        for entry in self._journal.entries():
            if entry.trial is not None and entry.attempt is not None and entry.folder is not None:
                attempts[entry.trial] = (entry.attempt, entry.folder)
        to_run = []
        for trial in self._plan.trials:
            attempt, name = attempts.get(trial.number, (0, ""))
            if attempt and self._stays(trial, attempt, name):
                continue
            to_run.append((trial, attempt + 1))
        yield from to_run

    def _stays(self, trial: PlannedTrial, attempt: int, name: str) -> bool:
        """Whether the last attempt at a trial counts; its outcome is taken from the folder, and journalled if it was not."""
        folder = self._folder / TRIALS_FOLDER / name
        if not is_settled(folder) and self._retry_failed:
            return False
        outcome = settle(folder)
        if isinstance(outcome, Failure) and outcome.kind == "interrupted":
            return False
        self._keep(trial, attempt, name, outcome)
        return True

    def _run_trial(self, trial: PlannedTrial, attempt: int, interrupts: Interrupts) -> ExperimentResult | Failure:
        """One attempt at one trial, from its folder to its outcome."""
        experiment = self._plan.experiment_of(trial)
        folder = self._open_folder(trial, experiment, attempt)
        self._observer.trial_begins(trial, experiment, attempt)
        self._journal.running(trial.number, attempt, folder.name)
        self._wait(self._scheduler.submit(folder), folder, interrupts)
        outcome = settle(folder)
        self._keep(trial, attempt, folder.name, outcome)
        self._observer.trial_ends(trial, experiment, outcome)
        return outcome

    def _open_folder(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> Path:
        """Make the trial's folder with its job."""
        name = trial_folder_name(
            trial.number,
            experiment.backend.name,
            experiment.concurrency,
            experiment.measurement_config_hash,
            trial.cycle,
            attempt,
        )
        folder = self._folder / TRIALS_FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        job = job_for(
            self._plan,
            trial,
            attempt=attempt,
            experiment_id=f"{self._folder.name}/{name}",
            inputs_root=str((self._folder / INPUTS_FOLDER).resolve()),
        )
        write_text(folder / JOB, job_text(job))
        return folder

    def _wait(self, handle: Handle, folder: Path, interrupts: Interrupts) -> None:
        """Wait for a driver and pass on what its worker says. First interrupt: finish the batch; second: end it now."""
        tail, begin_ns, seen = EventTail(folder / WORKER_EVENTS), self._clock.now_ns(), interrupts.count
        if seen:
            handle.cancel()
        while True:
            ended = handle.poll() is not None
            for event in tail.new():
                self._observer.trial_event(event)
            if ended:
                return
            self._observer.trial_live(Live(ns_to_s(self._clock.now_ns() - begin_ns), count_stamps(folder / STAMPS)))
            if interrupts.count > seen:
                seen = interrupts.count
                if seen == 1:
                    self._observer.say("finishing the batch; interrupt again to stop at once")
                    handle.cancel()
                else:
                    handle.kill()
            self._clock.sleep(_POLL_S)

    def _keep(self, trial: PlannedTrial, attempt: int, name: str, outcome: ExperimentResult | Failure) -> None:
        """Enter an outcome in the record and in the journal."""
        self.record.outcomes[trial.number] = outcome
        self.record.folders[trial.number] = name
        if isinstance(outcome, Failure):
            self._journal.failed(trial.number, attempt, name, f"{outcome.kind}: {outcome.message}")
        else:
            self._journal.completed(trial.number, attempt, name)
