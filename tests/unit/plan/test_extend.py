"""How a plan grows after its study began."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.model.job import WindowProtocol
from llenergymeasure.plan.extend import changes, cycles_of, extended, further_cycles, identity
from llenergymeasure.testing.plans import planned


def _of(plan, *points, cycles):
    """A plan of some experiments of another one, as a changed file would make it."""
    whole = planned(points=len(points), cycles=cycles)
    return replace(whole, experiments=tuple(plan.experiments[point] for point in points))


def test_the_same_study_changes_nothing():
    """Written out in another order it is still the same."""
    plan = planned(points=3, cycles=2)
    assert not changes(plan, plan).any
    assert not changes(plan, _of(plan, 2, 0, 1, cycles=2)).any


def test_more_cycles_are_whole_blocks():
    """Each new cycle holds every experiment once, numbered on."""
    plan = planned(points=2, cycles=1)
    found = changes(plan, _of(plan, 0, 1, cycles=3))
    assert [(one.trial.number, one.trial.cycle) for one in found.planned] == [(3, 1), (4, 1), (5, 2), (6, 2)]
    assert sorted(one.trial.point for one in found.planned) == [0, 0, 1, 1]
    assert all(one.experiment is None for one in found.planned)


def test_fewer_cycles_take_nothing_away():
    """What was measured, or planned, stays."""
    plan = planned(points=2, cycles=3)
    assert not changes(plan, _of(plan, 0, 1, cycles=1)).any


def test_a_new_experiment_comes_with_its_first_trial():
    """It gets all cycles; one that is no longer asked for is left out with all its trials."""
    whole = planned(points=3, cycles=2)
    plan = replace(planned(points=2, cycles=2), experiments=whole.experiments[:2])
    found = changes(plan, _of(whole, 1, 2, cycles=2))
    assert (found.added, found.withdrawn) == (("point 2",), ("point 0",))
    assert [one.experiment is not None for one in found.planned] == [True, False]
    assert {one.trial.point for one in found.planned} == {2}
    grown = extended(plan, found.planned, found.dropped)
    assert grown.experiments == whole.experiments
    assert {(trial.point, trial.cycle) for trial in grown.trials} == {(1, 0), (1, 1), (2, 0), (2, 1)}


def test_another_protocol_is_told():
    """Trials of an experiment that is there keep theirs; the difference is in words."""
    plan = planned()
    other = replace(plan.experiments[0].protocol, window=WindowProtocol(min_seconds=60))
    wanted = replace(plan, experiments=(replace(plan.experiments[0], protocol=other),))
    (told,) = changes(plan, wanted).protocol
    assert told.startswith("window: ") and "60" in told


def test_an_experiment_in_another_environment_is_another():
    """The environment is part of what an experiment is inside its study."""
    plan = planned()
    elsewhere = replace(plan.experiments[0], environment="new")
    assert identity(elsewhere) != identity(plan.experiments[0])
    found = changes(plan, replace(plan, experiments=(plan.experiments[0], elsewhere)))
    assert len(found.planned) == 1 and not found.dropped


@given(
    points=st.integers(1, 4),
    cycles=st.integers(1, 3),
    wanted=st.dictionaries(st.integers(0, 3), st.integers(1, 6)),
    order=st.sampled_from(["sequential", "interleaved", "shuffled"]),
)
def test_further_cycles_bring_each_point_to_what_it_needs(points, cycles, wanted, order):
    """No trial twice, none missing, numbers that were not used."""
    plan = planned(points=points, cycles=cycles, cycle_order=order)
    wanted = {point: need for point, need in wanted.items() if point < points}
    more = further_cycles(plan, wanted)
    grown = extended(plan, more)
    pairs = [(trial.point, trial.cycle) for trial in grown.trials]
    assert len(set(pairs)) == len(pairs)
    assert cycles_of(grown) == {point: max(cycles, wanted.get(point, 0)) for point in range(points)}
    assert len({trial.number for trial in grown.trials}) == len(grown.trials)
    assert not further_cycles(grown, wanted)
