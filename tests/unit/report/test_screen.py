"""What a person sees while a study runs."""

import io
import threading

from llenergymeasure.model.event import Progress, SessionFacts, WarmupBatch, WarmupDone
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.order import order
from llenergymeasure.report.heartbeat import beating
from llenergymeasure.report.observer import Live
from llenergymeasure.report.screen import Screen
from llenergymeasure.testing.builders import experiment_result, session_facts
from llenergymeasure.testing.plans import planned
from llenergymeasure.testing.virtual_clock import VirtualClock


class Shown:
    """A screen on a virtual clock, and what it has written."""

    def __init__(self, *, terminal: bool = False, verbose: bool = False) -> None:
        self.out = io.StringIO()
        self.clock = VirtualClock()
        self.screen = Screen(self.out, self.clock, terminal=terminal, verbose=verbose)

    def wait(self, seconds: float, step_s: float = 0.1) -> None:
        """Let time pass while the heart beats."""
        for _ in range(round(seconds / step_s)):
            self.clock.sleep(step_s)
            self.screen.beat()

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def test_nothing_is_silent_for_more_than_two_seconds():
    """Plain lines: what is being done, with its seconds, at least each two seconds, whoever is at work."""
    shown = Shown()
    shown.screen.say("dequantising a model")
    shown.wait(7)
    assert shown.lines == [
        "dequantising a model",
        "  … dequantising a model  2 s",
        "  … dequantising a model  4 s",
        "  … dequantising a model  6 s",
    ]


def test_a_terminal_redraws_one_line():
    """What is being done stands in one line that is cleared before the next that stays."""
    shown = Shown(terminal=True)
    shown.screen.say("looking")
    shown.wait(3)
    shown.screen.say("found")
    text = shown.out.getvalue()
    assert text.startswith("looking\n\r\x1b[2K  … looking  0 s")
    assert text.endswith("\r\x1b[2Kfound\n")
    assert text.count("\n") == 2


def test_a_download_shows_how_far_it_is():
    """A fraction is a state, not a line for each."""
    shown = Shown()
    shown.screen.say("downloading m: 3 MB")
    for percent in range(100):
        shown.clock.sleep(0.05)
        shown.screen.say("downloading m", percent / 100)
    assert shown.lines == [
        "downloading m: 3 MB",
        "  … downloading m: 3 MB  2 s, 39 %",
        "  … downloading m: 3 MB  4 s, 79 %",
    ]


def test_a_single_run_tells_its_steps():
    """Energy source, loading, engine, warm-up and window, each in its line as it ends."""
    shown, plan = Shown(), planned(energy="estimate, a CPU (package): estimated from CPU time")
    trial, experiment = plan.trials[0], plan.experiments[0]
    shown.screen.planned(plan, "results/x", 1)
    shown.screen.trial_begins(trial, experiment, 1)
    shown.screen.trial_event(Progress("loading m"))
    shown.screen.trial_event(Mark("load", "begin", 0))
    shown.wait(2)
    shown.screen.trial_event(Mark("load", "end", 2_000_000_000))
    shown.screen.trial_event(session_facts(engine="e", engine_version="1.2", threads=2))
    shown.screen.trial_event(Mark("warmup", "begin", 0))
    shown.screen.trial_event(WarmupBatch(1, 0.5, 10, 0.018, True))
    shown.wait(2)
    shown.screen.trial_event(WarmupDone(5, 2.5, True, 0.018, "pool"))
    shown.screen.trial_event(Mark("warmup", "end", 0))
    shown.screen.trial_live(Live(5.0, 2560, False, 14.0, 0.068, True))
    shown.wait(2)
    shown.screen.trial_ends(trial, experiment, experiment_result(per_token_j=0.068, rate=206.0, estimated=True))
    assert shown.lines == [
        "Experiment  point 0",
        "  pre-flight  ok      energy: estimate, a CPU (package): estimated from CPU time",
        "  … loading m  2 s",
        "  load        2.00 s",
        "  engine      e 1.2 on cpu, 2 threads, as_stored",
        "  … warming up  2 s, batch 1 took 0.50 s, CV 1.8 %",
        "  warm-up     5 batches, 2.5 s, steady (CV 1.8 %)",
        "  … measuring  2 s, 2,560 tokens, 14.0 W, 68.0 mJ/token (estimated)",
        "  window      2,060 tokens   10.0 s   206 tokens/s   14.0 W   68.0 mJ/token (estimated)",
    ]


def test_a_study_has_a_line_a_trial():
    """What ran, what failed and why; steps are for single runs and for -v."""
    shown, plan = Shown(), planned(points=2, cycles=1)
    shown.screen.planned(plan, "results/x", 2)
    for trial, outcome in zip(
        plan.trials, (experiment_result(), Failure("out_of_memory", "too big", hint="a smaller batch")), strict=True
    ):
        shown.screen.trial_begins(trial, plan.experiments[trial.point], 1)
        shown.screen.trial_event(session_facts())
        shown.clock.sleep(4)
        shown.screen.trial_ends(trial, plan.experiments[trial.point], outcome)
    assert shown.lines == [
        "Study  s    results/x/",
        "  2 experiments × 1 cycle, interleaved",
        "[1/2] point 0, cycle 1",
        "  ✓ 1,000 tokens   10.0 s   100 tokens/s   5.00 W   50.0 mJ/token",
        "[2/2] point 1, cycle 1    about 4 s left",
        "  ✗ out_of_memory: too big",
        "    a smaller batch",
    ]


def test_missing_energy_is_a_dash():
    """Not 0."""
    shown, plan = Shown(), planned()
    shown.screen.planned(plan, "results/x", 1)
    shown.screen.trial_ends(plan.trials[0], plan.experiments[0], experiment_result(per_token_j=None))
    assert shown.lines[-1] == "  window      1,000 tokens   10.0 s   100 tokens/s   energy –"


def test_a_window_without_a_token_has_no_rate():
    """A dash, not 0 tokens/s."""
    shown, plan = Shown(), planned()
    shown.screen.planned(plan, "results/x", 1)
    shown.screen.trial_ends(plan.trials[0], plan.experiments[0], experiment_result(per_token_j=None, rate=None))
    assert shown.lines[-1] == "  window      0 tokens   10.0 s   tokens/s –   energy –"


def test_nothing_is_drawn_over_a_question():
    """While somebody is asked, beats of the other thread wait."""
    shown = Shown(terminal=True)
    shown.screen.say("comparing")
    shown.clock.sleep(5)
    drawn = threading.Thread(target=shown.screen.beat)
    with shown.screen.paused():
        drawn.start()
        drawn.join(timeout=0.2)
        assert drawn.is_alive() and shown.lines == ["comparing"]
    drawn.join(timeout=30)
    assert "comparing  5 s" in shown.out.getvalue()


def test_verbose_shows_the_workers_events():
    """Indented, each cut to one line; the log holds them whole."""
    shown, plan = Shown(verbose=True), planned(points=2, cycles=1)
    shown.screen.planned(plan, "results/x", 2)
    shown.screen.trial_event(
        SessionFacts("e", "1", "static", "cpu", ("cpu",), "fp32", effective_options={"k": "v" * 500})
    )
    line = shown.lines[-1]
    assert line.startswith('    SessionFacts {"engine": "e"')
    assert line.endswith("…") and len(line) < 200


def test_a_pause_counts_down():
    """A pause that the study asks for says what is left of it."""
    shown = Shown()
    shown.screen.say("x")
    shown.clock.sleep(2)
    shown.screen.waiting(28.0)
    assert shown.lines[-1].endswith("pause between trials, as asked  2 s, 28 s left")


def test_the_heart_beats_until_the_block_ends():
    """Beats come from another thread, and none comes after the block."""
    seen = threading.Semaphore(0)
    beats = []

    def beat() -> None:
        beats.append(threading.current_thread().name)
        seen.release()

    with beating(beat, every_s=0.001):
        assert all(seen.acquire(timeout=30) for _ in range(3))
    after = len(beats)
    assert set(beats) == {"llem-heartbeat"}
    assert not any(thread.name == "llem-heartbeat" for thread in threading.enumerate())
    assert len(beats) == after


def test_the_order_of_a_study_is_told_with_its_seed():
    """A shuffled order can be had again."""
    shown = Shown()
    plan = planned(points=2, cycles=3, cycle_order="shuffled", order_seed=7)
    assert plan.trials == order(2, 3, "shuffled", 7)
    shown.screen.planned(plan, "r", 4)
    assert "  2 experiments × 3 cycles, shuffled, seed 7; 2 done already" in shown.lines
