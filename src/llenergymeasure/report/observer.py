"""What a running study tells whoever watches it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from llenergymeasure.model.event import Event
from llenergymeasure.model.outcome import Failure
from llenergymeasure.plan.order import PlannedTrial
from llenergymeasure.plan.plan import Plan, PlannedExperiment
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.study import StudyResult


@dataclass(frozen=True, slots=True)
class Live:
    """A running trial, seen from outside: ``seconds`` since its driver started.

    In the window ``tokens`` are those made so far, ``power_w`` and ``energy_per_token_j`` what the meter has read of it;
    ``estimated`` when a model stands in for a meter, ``counted_by_steps`` when tokens are steps times the size of a batch, which
    is more than were made once requests end early. ``None`` is not known (yet). For the screen alone: results count ids.
    """

    seconds: float
    tokens: int | None = None
    counted_by_steps: bool = False
    power_w: float | None = None
    energy_per_token_j: float | None = None
    estimated: bool = False


class Observer(Protocol):
    """All calls come from the thread that runs the study, but ``say``, which downloads call from theirs; none may raise."""

    def say(self, message: str, fraction: float | None = None) -> None:
        """Something is being done that may take a while; ``fraction`` in [0, 1] of it is done."""

    def planned(self, plan: Plan, folder: str, remaining: int) -> None: ...

    def grown(self, trials: int) -> None:
        """The stopping rule has added so many trials to the plan."""

    def waiting(self, seconds: float) -> None:
        """A pause that the study asks for, with what is left of it."""

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None: ...

    def trial_event(self, event: Event) -> None: ...

    def trial_live(self, live: Live) -> None: ...

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None: ...

    def study_ends(self, result: StudyResult) -> None: ...


class Several:
    """Tells each of several observers; with none of them it is silent."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)

    def say(self, message: str, fraction: float | None = None) -> None:
        for observer in self._observers:
            observer.say(message, fraction)

    def planned(self, plan: Plan, folder: str, remaining: int) -> None:
        for observer in self._observers:
            observer.planned(plan, folder, remaining)

    def grown(self, trials: int) -> None:
        for observer in self._observers:
            observer.grown(trials)

    def waiting(self, seconds: float) -> None:
        for observer in self._observers:
            observer.waiting(seconds)

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None:
        for observer in self._observers:
            observer.trial_begins(trial, experiment, attempt)

    def trial_event(self, event: Event) -> None:
        for observer in self._observers:
            observer.trial_event(event)

    def trial_live(self, live: Live) -> None:
        for observer in self._observers:
            observer.trial_live(live)

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None:
        for observer in self._observers:
            observer.trial_ends(trial, experiment, outcome)

    def study_ends(self, result: StudyResult) -> None:
        for observer in self._observers:
            observer.study_ends(result)
