"""What is shown while a study runs: lines on stderr; on a terminal the last one, what is being done, is redrawn."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from llenergymeasure.clock import Clock
from llenergymeasure.model.codec import encode
from llenergymeasure.model.event import Event, Progress, RequestDone, SessionFacts, Submission, WarmupBatch, WarmupDone
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.order import PlannedTrial
from llenergymeasure.plan.plan import Plan, PlannedExperiment
from llenergymeasure.report.observer import Live
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.numbers import counted, duration, three_digits, with_unit
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.units import ns_to_s, s_to_ns

# Nothing is silent for longer than two seconds.
_REDRAW_S, _PLAIN_S = 0.5, 2.0

# An event of the worker, as -v shows it, is cut to this.
_EVENT_WIDTH = 180

# What a worker does after each of these marks.
_DOING = {
    "idle_loaded.begin": "idle, loaded",
    "warmup.begin": "warming up",
    "warmup.end": "measuring",
    "window.end": "resting: power after work",
    "close.begin": "closing",
    "close.end": "analysing",
}


class Screen:
    """An ``Observer`` for people. ``terminal``: the last line may be redrawn; ``verbose`` shows the worker's events.

    ``beat`` may be called from any thread, as often as one likes.
    """

    def __init__(self, out: TextIO, clock: Clock, *, terminal: bool, verbose: bool = False) -> None:
        self._out = out
        self._clock = clock
        self._terminal = terminal
        self._verbose = verbose
        self._every_ns = s_to_ns(_REDRAW_S if terminal else _PLAIN_S)
        self._lock = threading.RLock()
        self._shown_ns = clock.now_ns()
        self._transient = False
        self._doing, self._detail, self._since_ns = "", "", clock.now_ns()
        self._count = self._total = 0
        self._load_began_ns: int | None = None
        self._single = False
        self._trial_ns = clock.now_ns()
        self._trials_s: list[float] = []

    def beat(self) -> None:
        """Show what is being done, when nothing was shown for a while."""
        with self._lock:
            if self._doing and self._clock.now_ns() - self._shown_ns >= self._every_ns:
                seconds = ns_to_s(self._clock.now_ns() - self._since_ns)
                self._show(f"{self._doing}  {seconds:.0f} s{self._detail}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is drawn in the block: somebody is asked a question."""
        with self._lock:
            self._clear()
            yield

    def say(self, message: str, fraction: float | None = None) -> None:
        with self._lock:
            if fraction is None:
                self._line(message)
                self._do(message)
            else:
                if not self._doing.startswith(message):
                    self._do(message)
                self._detail = f", {fraction * 100:.0f} %"
                self.beat()

    def planned(self, plan: Plan, folder: str, remaining: int) -> None:
        with self._lock:
            self._total, self._count = len(plan.trials), len(plan.trials) - remaining
            self._single = self._total == 1
            for line in _head(plan, folder, self._count):
                self._line(line)

    def grown(self, trials: int) -> None:
        with self._lock:
            self._total += trials
            self._single = False
            self._line(f"  {counted(trials, 'further trial')}, so that intervals are as narrow as asked")

    def waiting(self, seconds: float) -> None:
        with self._lock:
            self._doing, self._detail = "pause between trials, as asked", f", {seconds:.0f} s left"
            self.beat()

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None:
        with self._lock:
            self._count += 1
            again = f", attempt {attempt}" if attempt > 1 else ""
            if not self._single:
                which = f"[{self._count}/{self._total}] {experiment.label}, cycle {trial.cycle + 1}{again}"
                self._line(which + self._left())
            self._trial_ns = self._clock.now_ns()
            self._do("idle" if experiment.protocol.idle_seconds else "starting")

    def trial_event(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Progress):
                self._do(event.message, "" if event.fraction is None else f", {event.fraction * 100:.0f} %")
            elif isinstance(event, Mark) and event.name in _DOING:
                self._do(_DOING[event.name])
            elif isinstance(event, WarmupBatch):
                cv = "" if event.cv is None else f", CV {event.cv * 100:.1f} %"
                self._detail = f", batch {event.index} took {event.seconds:.2f} s{cv}"
            lines = self._details(event) if self._single else ()
            for line in lines:
                self._line(line)
            if self._verbose and not isinstance(event, Submission | RequestDone):
                self._line(_whole(event))

    def trial_live(self, live: Live) -> None:
        with self._lock:
            if live.tokens:
                self._detail = _live(live)
            self.beat()

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None:
        with self._lock:
            self._doing = ""
            self._trials_s.append(ns_to_s(self._clock.now_ns() - self._trial_ns))
            if isinstance(outcome, Failure):
                self._line(f"  ✗ {outcome.kind}: {outcome.message}")
                if outcome.hint:
                    self._line(f"    {outcome.hint}")
            elif self._single:
                self._line(f"  window      {_window(outcome)}")
            else:
                flag = "" if outcome.validity.valid else "  NOT VALID"
                self._line(f"  ✓ {_window(outcome)}{flag}")

    def study_ends(self, result: StudyResult) -> None:
        with self._lock:
            self._doing = ""
            self._clear()

    def _left(self) -> str:
        """How long this trial and those after it may take, by the mean of those that ended."""
        if not self._trials_s:
            return ""
        mean_s = sum(self._trials_s) / len(self._trials_s)
        return f"    about {duration(mean_s * (self._total - self._count + 1))} left"

    def _details(self, event: Event) -> Iterator[str]:
        """Lines for an event of a single run."""
        if isinstance(event, Mark) and event.name == "load.begin":
            self._load_began_ns = event.t_ns
        elif isinstance(event, Mark) and event.name == "load.end" and self._load_began_ns is not None:
            yield f"  load        {three_digits(ns_to_s(event.t_ns - self._load_began_ns))} s"
        elif isinstance(event, SessionFacts):
            threads = "" if event.threads is None else f", {counted(event.threads, 'thread')}"
            yield f"  engine      {event.engine} {event.engine_version} on {event.device}{threads}, {event.precision}"
        elif isinstance(event, WarmupDone) and event.batches:
            cv = "" if event.cv is None else f" (CV {event.cv * 100:.1f} %)"
            steady = {True: "steady", False: "not steady", None: "too few to judge"}[event.steady]
            yield f"  warm-up     {event.batches} batches, {event.seconds:.1f} s, {steady}{cv}"

    def _do(self, doing: str, detail: str = "") -> None:
        self._doing, self._detail, self._since_ns = doing, detail, self._clock.now_ns()

    def _line(self, text: str) -> None:
        self._clear()
        self._print(text)
        self._shown_ns = self._clock.now_ns()

    def _show(self, text: str) -> None:
        """What is being done now: over the last such line on a terminal, else as a line of its own."""
        self._shown_ns = self._clock.now_ns()
        if not self._terminal:
            self._print(f"  … {text}")
            return
        width = shutil.get_terminal_size().columns - 1
        self._print(f"\r\x1b[2K{('  … ' + text)[:width]}", end="")
        self._transient = True

    def _clear(self) -> None:
        if self._transient:
            self._print("\r\x1b[2K", end="")
            self._transient = False

    def _print(self, text: str, end: str = "\n") -> None:
        """Whoever watched may have gone: that ends no study."""
        with suppress(OSError):
            print(text, end=end, file=self._out, flush=True)


def _head(plan: Plan, folder: str, done: int) -> Iterator[str]:
    """The lines that say what will run."""
    execution = plan.execution
    if len(plan.trials) == 1:
        yield f"Experiment  {plan.experiments[0].label}"
    else:
        yield f"Study  {plan.name}    {folder}/"
        seed = f", seed {execution.order_seed}" if execution.cycle_order == "shuffled" else ""
        already = f"; {done} done already" if done else ""
        cycles = max(trial.cycle for trial in plan.trials) + 1
        size = f"{counted(len(plan.experiments), 'experiment')} × {counted(cycles, 'cycle')}"
        yield f"  {size}, {execution.cycle_order}{seed}{already}"
    if plan.energy:
        yield f"  pre-flight  ok      energy: {plan.energy}"
    for point in plan.skipped:
        yield f"  skipped  {point.label}: {point.reason}"
    if plan.merged:
        yield f"  merged   {counted(plan.merged, 'equal point')}"


def _whole(event: Event) -> str:
    """An event in one line that a person can read; the log holds all of it."""
    text = f"    {type(event).__name__} {json.dumps(encode(event), ensure_ascii=False)}"
    return text if len(text) <= _EVENT_WIDTH else text[: _EVENT_WIDTH - 1] + "…"


def _live(live: Live) -> str:
    about = "about " if live.counted_by_steps else ""
    text = f", {about}{counted(live.tokens or 0, 'token')}"
    if live.power_w is not None:
        text += f", {with_unit(live.power_w, 'W')}"
    if live.energy_per_token_j is not None:
        text += f", {about}{with_unit(live.energy_per_token_j, 'J/token')}"
    return text + (" (estimated)" if live.power_w is not None and live.estimated else "")


def _window(result: ExperimentResult) -> str:
    """``2,560 tokens   12.4 s   14.0 W   68.0 mJ/token``."""
    estimated = " (estimated)" if result.energy_per_output_token_j.estimated else ""
    rate = result.tokens_per_second.value
    parts = [
        counted(result.tokens.output_tokens, "token"),
        f"{three_digits(result.method.window_s)} s",
        "tokens/s –" if rate is None else f"{three_digits(rate)} tokens/s",
    ]
    if result.mean_power_w.value is None:
        return "   ".join([*parts, "energy –"])
    power = with_unit(result.mean_power_w.value, "W")
    return "   ".join([*parts, power, with_unit(result.energy_per_output_token_j.value, "J/token")]) + estimated


@contextmanager
def screen_on(out: TextIO, clock: Clock, *, verbose: bool, plain: bool) -> Iterator[Screen]:
    """The screen that fits a stream, beating: redrawn on a terminal, plain lines elsewhere."""
    from llenergymeasure.report.heartbeat import beating

    screen = Screen(out, clock, terminal=out.isatty() and not plain, verbose=verbose)
    with beating(screen.beat):
        yield screen
