"""The loop over the trials of a plan: submit, wait, settle, journal; minus what is done already."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llenergymeasure.clock import Clock
from llenergymeasure.model.event import EventTail, Finished
from llenergymeasure.model.folder import JOB, WORKER_EVENTS
from llenergymeasure.model.job import job_text
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.extend import extended, further_cycles
from llenergymeasure.plan.order import PlannedTrial
from llenergymeasure.plan.plan import Plan, PlannedExperiment, job_for
from llenergymeasure.report.observer import Observer
from llenergymeasure.schedulers.contract import Handle, Scheduler
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.atomic import write_text
from llenergymeasure.store.layout import INPUTS_FOLDER, JOURNAL, TRIALS_FOLDER, trial_folder_name
from llenergymeasure.study.interrupts import Interrupts
from llenergymeasure.study.journal import Journal
from llenergymeasure.study.live import LiveTrial
from llenergymeasure.study.settle import settle
from llenergymeasure.study.stopping import second_stage
from llenergymeasure.trial.alone import wait_until_alone
from llenergymeasure.units import ns_to_s

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a trial; attempts count from 1."""

    trial: PlannedTrial
    number: int


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
        self.plan = plan
        self._scheduler = scheduler
        self._clock = clock
        self._observer = observer
        self._retry_failed = retry_failed
        self._journal = Journal(folder / JOURNAL)
        self.record = Record()

    def take_stock(self) -> tuple[Attempt, ...]:
        """What must run. Outcomes that stand enter the record; the journal learns of those that it had not heard of."""
        last = {entry.trial: entry for entry in self._journal.entries() if entry.attempt is not None}
        left = []
        for trial in self.plan.trials:
            entry = last.get(trial.number)
            if entry is None or entry.attempt is None or entry.folder is None:
                left.append(Attempt(trial, 1))
                continue
            outcome = self._standing(entry.folder)
            if outcome is None:
                left.append(Attempt(trial, entry.attempt + 1))
                continue
            self._enter(trial, entry.folder, outcome)
            if entry.event == "running":
                self._write(Attempt(trial, entry.attempt), entry.folder, outcome)
        return tuple(left)

    def run(self, left: Sequence[Attempt], interrupts: Interrupts) -> Record:
        """Run these attempts in their order until they are done, or until something says to stop."""
        begin_ns, failures, before = self._clock.now_ns(), 0, None
        queue = deque(left)
        while queue or (queue := deque(self._further_cycles())):
            attempt = queue.popleft()
            self._pause(before, attempt.trial, interrupts)
            self.record.stopped = self._reason_to_stop(begin_ns, failures, interrupts)
            if self.record.stopped:
                break
            outcome = self._run_trial(attempt, interrupts, more=bool(queue))
            failures = failures + 1 if isinstance(outcome, Failure) else 0
            before = attempt.trial
        self.record.interrupted = interrupts.count > 0
        if self.record.interrupted:
            self.record.stopped = "interrupted"
        if self.record.stopped:
            self._journal.stopped(self.record.stopped)
        return self.record

    def _further_cycles(self) -> tuple[Attempt, ...]:
        """Trials that the stopping rule asks for, once everything planned has run; journalled before the first of them."""
        wanted = second_stage(self.plan, self.record.outcomes)
        planned = further_cycles(self.plan, wanted)
        if not planned:
            return ()
        self._journal.planned(planned, "target_rel_ci")
        self.plan = extended(self.plan, planned)
        self._observer.grown(len(planned))
        return tuple(Attempt(one.trial, 1) for one in planned)

    def _standing(self, name: str) -> ExperimentResult | Failure | None:
        """The outcome of an earlier attempt that counts; ``None`` when the trial has to run again."""
        folder = self._folder / TRIALS_FOLDER / name
        wait_until_alone(folder, self._observer.say)
        outcome = settle(folder)
        failed = isinstance(outcome, Failure)
        cut = outcome.kind == "interrupted" if isinstance(outcome, Failure) else outcome.method.stopped_by == "signal"
        if cut or (failed and self._retry_failed):
            self._observer.say(f"{name} {'was interrupted' if cut else 'failed'}: it runs again")
            return None
        return outcome

    def _reason_to_stop(self, begin_ns: int, failures: int, interrupts: Interrupts) -> str:
        execution = self.plan.execution
        if interrupts.count:
            return "interrupted"
        if execution.max_seconds is not None and ns_to_s(self._clock.now_ns() - begin_ns) >= execution.max_seconds:
            return f"the time budget of {execution.max_seconds:g} s is used"
        if execution.max_consecutive_failures is not None and failures >= execution.max_consecutive_failures:
            return f"{failures} trials failed in a row"
        return ""

    def _pause(self, before: PlannedTrial | None, trial: PlannedTrial, interrupts: Interrupts) -> None:
        """The pause that the study asks for between trials, or between cycles."""
        if before is None:
            return
        execution = self.plan.execution
        seconds = execution.cycle_gap_seconds if trial.cycle != before.cycle else execution.config_gap_seconds
        end_s = ns_to_s(self._clock.now_ns()) + seconds
        while (left_s := end_s - ns_to_s(self._clock.now_ns())) > 0 and not interrupts.count:
            self._observer.waiting(left_s)
            self._clock.sleep(min(left_s, _POLL_S))

    def _run_trial(self, attempt: Attempt, interrupts: Interrupts, *, more: bool) -> ExperimentResult | Failure:
        """One attempt at one trial, from its folder to its outcome; ``more`` are to follow."""
        experiment = self.plan.experiment_of(attempt.trial)
        folder = self._open_folder(attempt, experiment)
        self._observer.trial_begins(attempt.trial, experiment, attempt.number)
        self._journal.running(attempt.trial.number, attempt.number, folder.name)
        live = LiveTrial(folder, min(experiment.concurrency, experiment.n), self._clock)
        self._wait(self._scheduler.submit(folder), folder, live, interrupts, more=more)
        outcome = settle(folder)
        self._enter(attempt.trial, folder.name, outcome)
        self._write(attempt, folder.name, outcome)
        self._observer.trial_ends(attempt.trial, experiment, outcome)
        return outcome

    def _open_folder(self, attempt: Attempt, experiment: PlannedExperiment) -> Path:
        """Make the trial's folder with its job."""
        name = trial_folder_name(
            attempt.trial.number,
            experiment.backend.name,
            experiment.concurrency,
            experiment.measurement_config_hash,
            experiment.environment,
            attempt.trial.cycle,
            attempt.number,
        )
        folder = self._folder / TRIALS_FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        job = job_for(
            self.plan,
            attempt.trial,
            attempt=attempt.number,
            experiment_id=f"{self._folder.name}/{name}",
            inputs_root=str((self._folder / INPUTS_FOLDER).resolve()),
        )
        write_text(folder / JOB, job_text(job))
        return folder

    def _wait(self, handle: Handle, folder: Path, live: LiveTrial, interrupts: Interrupts, *, more: bool) -> None:
        """Wait for a driver and pass on what its worker says. First interrupt: finish the batch; second: end it now.

        When the worker has finished nothing is measured any more: the next driver may start while this one joins its trace.
        """
        tail, seen = EventTail(folder / WORKER_EVENTS), 0
        while True:
            ended = handle.poll(_POLL_S) is not None
            for event in tail.new():
                live.event(event)
                self._observer.trial_event(event)
                if more and isinstance(event, Finished):
                    self._scheduler.ahead(folder.parent)
            if ended:
                return
            self._observer.trial_live(live.look())
            if interrupts.count > seen:
                if seen == 0:
                    self._observer.say("finishing the batch; interrupt again to stop at once")
                    handle.cancel()
                else:
                    handle.kill()
                seen += 1

    def _enter(self, trial: PlannedTrial, name: str, outcome: ExperimentResult | Failure) -> None:
        self.record.outcomes[trial.number] = outcome
        self.record.folders[trial.number] = name

    def _write(self, attempt: Attempt, name: str, outcome: ExperimentResult | Failure) -> None:
        if isinstance(outcome, Failure):
            self._journal.failed(attempt.trial.number, attempt.number, name, f"{outcome.kind}: {outcome.message}")
        else:
            self._journal.completed(attempt.trial.number, attempt.number, name)
