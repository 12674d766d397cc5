"""What a running study tells whoever watches it."""

from __future__ import annotations

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
    """A running trial, seen from outside: seconds since its driver started, and stamps written so far."""

    seconds: float
    stamps: int


class Observer(Protocol):
    """All calls come from the thread that runs the study; none may raise."""

    def say(self, message: str) -> None:
        """Something is being done that may take a while."""

    def planned(self, plan: Plan, folder: str, remaining: int) -> None: ...

    def waiting(self, seconds: float) -> None:
        """A pause that the study asks for, with what is left of it."""

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None: ...

    def trial_event(self, event: Event) -> None: ...

    def trial_live(self, live: Live) -> None: ...

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None: ...

    def study_ends(self, result: StudyResult) -> None: ...


class Silent:
    """Watches nothing."""

    def say(self, message: str) -> None: ...

    def planned(self, plan: Plan, folder: str, remaining: int) -> None: ...

    def waiting(self, seconds: float) -> None: ...

    def trial_begins(self, trial: PlannedTrial, experiment: PlannedExperiment, attempt: int) -> None: ...

    def trial_event(self, event: Event) -> None: ...

    def trial_live(self, live: Live) -> None: ...

    def trial_ends(
        self, trial: PlannedTrial, experiment: PlannedExperiment, outcome: ExperimentResult | Failure
    ) -> None: ...

    def study_ends(self, result: StudyResult) -> None: ...
