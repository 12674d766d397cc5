"""What is shown while a study runs: lines on stderr; on a terminal the current one is redrawn."""

from __future__ import annotations

import shutil
from typing import TextIO

from llenergymeasure.clock import Clock, Ticker
from llenergymeasure.model.event import (
    Event,
    Progress,
    SessionFacts,
    WarmupBatch,
    WarmupDone,
    WindowDone,
)
from llenergymeasure.model.mark import Mark
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.order import PlannedTrial
from llenergymeasure.plan.plan import Plan, PlannedExperiment
from llenergymeasure.report.observer import Live
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.numbers import three_digits, with_unit
from llenergymeasure.schema.study import StudyResult

# Nothing is silent for longer than two seconds; a pipe gets a line less often.
_REDRAW_S, _PLAIN_S = 0.5, 10.0


class Screen:
    """An ``Observer`` for people. ``terminal``: the last line may be redrawn; ``verbose`` shows every event."""

    def __init__(self, out: TextIO, clock: Clock, *, terminal: bool, verbose: bool = False) -> None:
        self._out = out
        self._terminal = terminal
        self._verbose = verbose
        self._ticker = Ticker(clock, _REDRAW_S if terminal else _PLAIN_S)
        self._transient = False
        self._doing = ""
        self._count = self._total = 0
        self._done_stamps = 0
        self._single = False

    def say(self, message: str) -> None:
        self._line(message)

    def planned(self, plan: Plan, folder: str, remaining: int) -> None:
        self._total, self._count = len(plan.trials), len(plan.trials) - remaining
        self._single = self._total == 1
        if self._single:
            self._line(f"Experiment  {plan.experiments[0].label}")
        else:
            self._line(f"Study  {plan.name}    {folder}/")
            cycles, seed = plan.execution.n_cycles, plan.execution.order_seed
            order = plan.execution.cycle_order + (f", seed {seed}" if plan.execution.cycle_order == "shuffled" else "")
            done = f"; {self._count} done already" if self._count else ""
            self._line(f"  {len(plan.experiments)} experiments × {cycles} cycles, {order}{done}")
        for point in plan.skipped:
            self._line(f"  skipped  {point.label}: {point.reason}")
        if plan.merged:
            self._line(f"  merged   {plan.merged} equal points")

    def waiting(self, seconds: float) -> None:
        if self._ticker.due():
            self._show(f"pause between trials, {seconds:.0f} s left")

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None:
        self._count += 1
        again = f", attempt {attempt}" if attempt > 1 else ""
        if not self._single:
            self._line(f"[{self._count}/{self._total}] {experiment.label}, cycle {trial.cycle + 1}{again}")
        self._doing = "starting"

    def trial_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._doing = event.message
        elif isinstance(event, Mark):
            if event.name == "idle_loaded.begin":
                self._doing = "idle, loaded"
            elif event.name == "warmup.begin":
                self._doing = "warming up"
            elif event.name == "warmup.end":
                self._doing = "measuring"
        elif isinstance(event, WarmupBatch):
            cv = "" if event.cv is None else f", spread {event.cv:.1%}"
            self._doing = f"warming up: batch {event.index}, {event.seconds:.2f} s{cv}"
        if self._single or self._verbose:
            self._detail(event)

    def trial_live(self, live: Live) -> None:
        if self._ticker.due():
            tokens = f", {live.stamps:,} steps" if live.stamps else ""
            self._show(f"{self._doing}  {live.seconds:.0f} s{tokens}")

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None:
        if isinstance(outcome, Failure):
            self._line(f"  ✗ {outcome.kind}: {outcome.message}")
            if outcome.hint:
                self._line(f"    {outcome.hint}")
            return
        energy = outcome.energy_per_output_token_j
        estimated = " (estimated)" if energy.estimated else ""
        joules = "energy –" if energy.value is None else with_unit(energy.value, "J/token") + estimated
        rate = with_unit(outcome.tokens_per_second.value, "tokens/s")
        if not self._single:
            flag = "" if outcome.validity.valid else "  NOT VALID"
            self._line(f"  ✓ {joules}  {rate}  window {three_digits(outcome.method.window_s)} s{flag}")

    def study_ends(self, result: StudyResult) -> None:
        self._clear()

    def _detail(self, event: Event) -> None:
        if isinstance(event, SessionFacts):
            self._line(f"  engine      {event.engine} {event.engine_version} on {event.device}, {event.precision}")
        elif isinstance(event, WarmupDone) and event.batches:
            cv = "" if event.cv is None else f" (spread {event.cv:.1%})"
            steady = {True: "steady", False: "not steady", None: "too few to judge"}[event.steady]
            self._line(f"  warm-up     {event.batches} batches, {event.seconds:.1f} s, {steady}{cv}")
        elif isinstance(event, WindowDone):
            cut = f", the last cut by {event.stopped_by}" if event.partial else ""
            self._line(f"  window      {event.passes} passes{cut}")

    def _line(self, text: str) -> None:
        self._clear()
        print(text, file=self._out, flush=True)

    def _show(self, text: str) -> None:
        """What is being done now: over the last such line on a terminal, else as a line of its own."""
        if not self._terminal:
            print(f"  … {text}", file=self._out, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[2K{('  … ' + text)[:width]}", end="", file=self._out, flush=True)
        self._transient = True

    def _clear(self) -> None:
        if self._transient:
            print("\r\x1b[2K", end="", file=self._out, flush=True)
            self._transient = False


def screen_for(out: TextIO, clock: Clock, *, verbose: bool, plain: bool) -> Screen:
    """The screen that fits a stream: redrawn on a terminal, plain lines elsewhere."""
    return Screen(out, clock, terminal=out.isatty() and not plain, verbose=verbose)
