"""How a plan grows after its study began: more cycles, more experiments, fewer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from llenergymeasure.plan.order import PlannedTrial, block_order
from llenergymeasure.plan.plan import Plan, PlannedExperiment

Identity = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Planned:
    """A trial that is added to a plan; ``experiment`` is given with the first trial of one that the plan does not have."""

    trial: PlannedTrial
    experiment: PlannedExperiment | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a changed study file asks for, against the plan that there is.

    ``added`` and ``withdrawn`` are labels of experiments; ``planned`` the trials to add, ``dropped`` the numbers of those to
    leave out, which are only trials of withdrawn experiments; ``protocol`` says what else differs, in words.
    """

    added: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    planned: tuple[Planned, ...] = ()
    dropped: tuple[int, ...] = ()
    protocol: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.planned or self.dropped or self.protocol)


def identity(experiment: PlannedExperiment) -> Identity:
    """What an experiment is inside its study."""
    return experiment.measurement_config_hash, experiment.environment


def extended(plan: Plan, planned: Iterable[Planned], dropped: Iterable[int] = ()) -> Plan:
    """The plan with these trials added at its end, and those numbers left out."""
    experiments, trials, gone = list(plan.experiments), list(plan.trials), set(dropped)
    for one in planned:
        if one.experiment is not None and one.trial.point == len(experiments):
            experiments.append(one.experiment)
        trials.append(one.trial)
    kept = tuple(trial for trial in trials if trial.number not in gone)
    return replace(plan, experiments=tuple(experiments), trials=kept)


def further_cycles(plan: Plan, wanted: Mapping[int, int]) -> tuple[Planned, ...]:
    """Trials that bring each point to its wanted number of cycles: whole blocks of the points that still need one, in order."""
    have = cycles_of(plan)
    number = max((trial.number for trial in plan.trials), default=0)
    planned = []
    for cycle in range(max(wanted.values(), default=0)):
        points = [point for point in sorted(wanted) if have.get(point, 0) <= cycle < wanted[point]]
        for place in block_order(len(points), cycle, plan.execution.cycle_order, plan.execution.order_seed):
            number += 1
            planned.append(Planned(PlannedTrial(number, points[place], cycle)))
    return tuple(planned)


def changes(plan: Plan, wanted: Plan) -> Changes:
    """What has to be added to ``plan`` and left out of it so that it covers ``wanted``. Cycles are never taken away."""
    places = {identity(experiment): point for point, experiment in enumerate(plan.experiments)}
    asked = {identity(experiment): experiment for experiment in wanted.experiments}
    new = [experiment for key, experiment in asked.items() if key not in places]
    cycles = cycles_of(wanted)
    target = {places[key]: cycles[point] for point, key in enumerate(asked) if key in places and point in cycles}
    first = len(plan.experiments)
    target |= {first + place: max(cycles.values(), default=1) for place in range(len(new))}
    grown = replace(plan, experiments=(*plan.experiments, *new))
    planned = _with_experiments(further_cycles(grown, target), first, new)
    withdrawn = {point for key, point in places.items() if key not in asked and point in cycles_of(plan)}
    return Changes(
        added=tuple(experiment.label for experiment in new),
        withdrawn=tuple(plan.experiments[point].label for point in sorted(withdrawn)),
        planned=planned,
        dropped=tuple(trial.number for trial in plan.trials if trial.point in withdrawn),
        protocol=tuple(_protocol_changes(plan, wanted, places)),
    )


def cycles_of(plan: Plan) -> Mapping[int, int]:
    """How many cycles each point has."""
    counts: dict[int, int] = {}
    for trial in plan.trials:
        counts[trial.point] = max(counts.get(trial.point, 0), trial.cycle + 1)
    return counts


def _with_experiments(planned: Sequence[Planned], first: int, new: Sequence[PlannedExperiment]) -> tuple[Planned, ...]:
    """Give each new experiment to its first trial; points are numbered anew in the order in which they are met."""
    numbers: dict[int, int] = {}
    out = []
    for one in planned:
        point = one.trial.point
        if point < first:
            out.append(one)
            continue
        is_first = point not in numbers
        number = numbers.setdefault(point, first + len(numbers))
        out.append(Planned(replace(one.trial, point=number), new[point - first] if is_first else None))
    return tuple(out)


def _protocol_changes(plan: Plan, wanted: Plan, places: Mapping[Identity, int]) -> Iterable[str]:
    """Rigour that differs for experiments that are in both: results of one experiment would not be of one protocol."""
    seen = set()
    for experiment in wanted.experiments:
        point = places.get(identity(experiment))
        if point is None:
            continue
        before, now = plan.experiments[point].protocol, experiment.protocol
        for name in ("warmup", "window", "idle_seconds", "idle_loaded_seconds", "quiet_seconds", "preliminary"):
            old, new = getattr(before, name), getattr(now, name)
            if old != new and name not in seen:
                seen.add(name)
                yield f"{name.replace('_', ' ')}: {old} before, {new} now"
