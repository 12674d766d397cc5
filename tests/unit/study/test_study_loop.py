"""The loop: what runs, in which order, what stays, and when it stops. Drivers are stood in for by scripted ones."""

from pathlib import Path

import pytest

from llenergymeasure.model.codec import encode
from llenergymeasure.model.event import Finished, event_line
from llenergymeasure.model.outcome import Failure
from llenergymeasure.report.observer import Several
from llenergymeasure.study.interrupts import Interrupts
from llenergymeasure.study.journal import Journal, plan_with
from llenergymeasure.study.loop import Loop
from llenergymeasure.testing.builders import experiment_result
from llenergymeasure.testing.plans import planned
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.trial.failure import write_failure


def plan(points=2, cycles=2, **execution):
    return planned(points, cycles, **execution)


class Ended:
    def poll(self, within_s=0.0):
        return 0

    def cancel(self):
        raise AssertionError("nothing to cancel")

    kill = cancel


class Scripted:
    """A scheduler whose drivers do at once what the script says for the trial's number: complete, fail, or leave nothing."""

    def __init__(self, script=None, on_submit=lambda: None):
        self.script = script or {}
        self.submitted = []
        self.on_submit = on_submit
        self.told_ahead = []

    def ahead(self, trials):
        self.told_ahead.append(self.submitted[-1])

    def submit(self, folder):
        number = int(folder.name[:3])
        self.submitted.append(folder.name)
        what = self.script.get(number, "complete")
        if what == "complete":
            (folder / "result.json").write_text(experiment_result().to_json())
            (folder / "events.jsonl").write_text(event_line(Finished("trial")))
        elif what == "fail":
            write_failure(folder, Failure("out_of_memory", "too big"))
        self.on_submit()
        return Ended()


def loop(folder, scheduler, clock=None, the_plan=None, **options):
    return Loop(folder, the_plan or plan(), scheduler, clock or VirtualClock(), Several(), **options)


def run(study, interrupts=None):
    return study.run(study.take_stock(), interrupts or Interrupts())


def events(folder):
    return [(entry.event, entry.trial, entry.attempt) for entry in Journal(folder / "study_journal.jsonl").entries()]


def test_every_trial_runs_once_in_order(tmp_path):
    """A plan of two experiments over two cycles is four trials, each journalled as running and then as completed."""
    scheduler = Scripted()
    record = run(loop(tmp_path, scheduler))
    assert [name[:3] for name in scheduler.submitted] == ["001", "002", "003", "004"]
    assert len(record.outcomes) == 4
    assert events(tmp_path)[:2] == [("running", 1, 1), ("completed", 1, 1)]
    assert not record.stopped


def test_the_next_driver_starts_when_nothing_is_measured(tmp_path):
    """The scheduler hears that a worker has finished where another trial follows, and only then."""
    scheduler = Scripted({2: "fail"})
    run(loop(tmp_path, scheduler))
    assert [name[:3] for name in scheduler.told_ahead] == ["001", "003"]


def test_a_failure_does_not_stop_the_others(tmp_path):
    """It becomes data, and the next trial starts."""
    record = run(loop(tmp_path, Scripted({2: "fail"})))
    assert isinstance(record.outcomes[2], Failure)
    assert sorted(record.outcomes) == [1, 2, 3, 4]


def test_what_completed_is_never_repeated(tmp_path):
    """Going on with a finished study runs nothing and journals nothing."""
    run(loop(tmp_path, Scripted()))
    before = events(tmp_path)
    again = Scripted()
    record = run(loop(tmp_path, again))
    assert again.submitted == []
    assert len(record.outcomes) == 4
    assert events(tmp_path) == before


def test_a_failed_trial_stays_unless_it_is_to_be_retried(tmp_path):
    """``retry_failed`` makes a second attempt in a folder of its own."""
    run(loop(tmp_path, Scripted({2: "fail"})))
    stays = Scripted()
    assert isinstance(run(loop(tmp_path, stays)).outcomes[2], Failure)
    assert stays.submitted == []
    retried = Scripted()
    record = run(loop(tmp_path, retried, retry_failed=True))
    assert [name[:3] + name[-3:] for name in retried.submitted] == ["002_a2"]
    assert not isinstance(record.outcomes[2], Failure)


def test_a_trial_without_an_outcome_runs_again(tmp_path):
    """A driver that was killed left nothing: the trial is interrupted and gets another attempt."""
    run(loop(tmp_path, Scripted({3: "nothing"})))
    again = Scripted()
    record = run(loop(tmp_path, again))
    assert [name[:3] for name in again.submitted] == ["003"]
    assert again.submitted[0].endswith("_a2")
    assert not isinstance(record.outcomes[3], Failure)


def test_a_host_killed_between_result_and_journal_loses_nothing(tmp_path):
    """The folder decides: the journal learns of the result that it had not heard of."""
    run(loop(tmp_path, Scripted()))
    journal = tmp_path / "study_journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:20])
    again = Scripted()
    record = run(loop(tmp_path, again))
    assert again.submitted == []
    assert len(record.outcomes) == 4
    assert events(tmp_path)[-1] == ("completed", 4, 1)


def test_an_interrupt_ends_the_study_after_the_trial(tmp_path):
    """What has run stays, the rest is left for later."""
    interrupts = Interrupts()

    def press():
        interrupts.count += 1

    scheduler = Scripted(on_submit=press)
    record = run(loop(tmp_path, scheduler), interrupts)
    assert len(scheduler.submitted) == 1
    assert record.interrupted
    assert events(tmp_path)[-1][0] == "stopped"
    assert len(run(loop(tmp_path, Scripted())).outcomes) == 4


def test_failures_in_a_row_stop_a_study_that_asks_for_it(tmp_path):
    """Two of one kind are enough here, and the study can be resumed."""
    scheduler = Scripted({1: "fail", 2: "fail"})
    record = run(loop(tmp_path, scheduler, the_plan=plan(max_consecutive_failures=2)))
    assert len(scheduler.submitted) == 2
    assert record.stopped == "2 trials failed in a row"


def test_a_time_budget_ends_between_trials(tmp_path):
    """The trial that is running when the time is up still counts."""
    clock = VirtualClock()
    scheduler = Scripted(on_submit=lambda: clock.sleep(40))
    record = run(loop(tmp_path, scheduler, clock, plan(max_seconds=60)))
    assert len(scheduler.submitted) == 2
    assert "time budget" in record.stopped


def test_pauses_are_those_asked_for(tmp_path):
    """Between trials of one cycle the one, between cycles the other."""
    clock = VirtualClock()
    begin_ns = clock.now_ns()
    run(loop(tmp_path, Scripted(), clock, plan(config_gap_seconds=3, cycle_gap_seconds=10)))
    assert (clock.now_ns() - begin_ns) / 1e9 == pytest.approx(3 + 10 + 3, abs=0.5)


def test_a_trial_has_its_job_in_its_folder(tmp_path):
    """The name tells number, backend, concurrency, hash and cycle; the job is whole."""
    run(loop(tmp_path, Scripted()))
    names = sorted(path.name for path in (tmp_path / "trials").iterdir())
    assert names[0] == "001_simulated_b1_000000_c1"
    assert names[3] == "004_simulated_b2_000000_c2"
    assert (tmp_path / "trials" / names[0] / "job.json").exists()
    assert encode(plan())["trials"][3] == {"number": 4, "point": 1, "cycle": 1}
    assert isinstance(tmp_path, Path)


def _narrow(folder, spread, target=0.02, **scripts):
    """A study with a target for its intervals, whose first cycles give J/token with this spread."""

    class Measured(Scripted):
        def submit(self, folder):
            self.submitted.append(folder.name)
            cycle = int(folder.name.rpartition("_c")[2]) - 1
            result = experiment_result(cycle=cycle, per_token_j=0.05 * (1 + spread * (-1) ** cycle), rate=100.0)
            (folder / "result.json").write_text(result.to_json())
            self.on_submit()
            return Ended()

    scheduler = Measured(**scripts)
    the_plan = planned(points=1, cycles=5, target_rel_ci=target, max_cycles=9)
    return scheduler, the_plan


def test_a_narrow_interval_needs_no_more_cycles(tmp_path):
    """The first stage is enough where its values hardly differ."""
    scheduler, the_plan = _narrow(tmp_path, spread=0.001)
    run(loop(tmp_path, scheduler, the_plan=the_plan))
    assert len(scheduler.submitted) == 5


def test_a_wide_interval_gets_the_cycles_that_it_needs_and_no_more_than_allowed(tmp_path):
    """They are journalled before the first of them runs."""
    scheduler, the_plan = _narrow(tmp_path, spread=0.05)
    study = loop(tmp_path, scheduler, the_plan=the_plan)
    record = run(study)
    assert len(scheduler.submitted) == len(record.outcomes) == 9
    assert len(study.plan.trials) == 9
    assert [event for event, trial, _ in events(tmp_path) if event == "planned"] == ["planned"] * 4
    assert events(tmp_path).index(("planned", 6, None)) < events(tmp_path).index(("running", 6, 1))


def test_a_study_stopped_in_its_second_stage_goes_on_with_it(tmp_path):
    """The plan is the manifest's and what the journal added; the rule says the same again."""
    interrupts = Interrupts()
    scheduler, the_plan = _narrow(tmp_path, spread=0.05)
    scheduler.on_submit = lambda: setattr(interrupts, "count", int(len(scheduler.submitted) >= 7))
    run(loop(tmp_path, scheduler, the_plan=the_plan), interrupts)
    assert len(scheduler.submitted) == 7
    scheduler.on_submit = lambda: None
    again = plan_with(the_plan, Journal(tmp_path / "study_journal.jsonl").entries())
    record = run(loop(tmp_path, scheduler, the_plan=again))
    assert len(scheduler.submitted) == len(set(scheduler.submitted)) == len(record.outcomes) == 9


def test_trials_left_out_do_not_run(tmp_path):
    """An experiment that was withdrawn from the study is not measured any more."""
    the_plan = plan()
    Journal(tmp_path / "study_journal.jsonl").dropped([1, 3], "withdrawn")
    scheduler = Scripted()
    run(loop(tmp_path, scheduler, the_plan=plan_with(the_plan, Journal(tmp_path / "study_journal.jsonl").entries())))
    assert [name[:3] for name in scheduler.submitted] == ["002", "004"]
