"""How many cycles a study asks for after its first stage."""

import pytest

from llenergymeasure.analyse.study.stopping import cycles_needed
from llenergymeasure.model.outcome import Failure
from llenergymeasure.study.stopping import second_stage
from llenergymeasure.testing.builders import experiment_result
from llenergymeasure.testing.plans import planned

VALUES = (0.050, 0.052, 0.049, 0.051, 0.050)


def _outcomes(values, **changes):
    return {
        number: Failure("out_of_memory", "too big")
        if value is None
        else experiment_result(per_token_j=value, **changes)
        for number, value in enumerate(values, start=1)
    }


def test_without_a_target_nothing_is_asked_for():
    """The cycles that were planned are all."""
    assert second_stage(planned(cycles=5), _outcomes(VALUES)) == {}


def test_the_first_stage_decides():
    """Later cycles change nothing, however far off they are."""
    plan = planned(cycles=9, target_rel_ci=0.02, max_cycles=20)
    first = planned(cycles=5, target_rel_ci=0.02, max_cycles=20)
    needed = cycles_needed(VALUES, 0.02, 20)
    assert second_stage(first, _outcomes(VALUES)) == {0: needed}
    grown = planned(cycles=5, target_rel_ci=0.02, max_cycles=20)
    assert second_stage(grown, _outcomes((*VALUES, 9.0, 0.001))) == {0: needed}
    assert plan.execution.n_cycles == 9


def test_a_cycle_that_gave_nothing_is_made_up_for():
    """As many values as are needed, not as many cycles; never more cycles than allowed."""
    values = (0.050, None, 0.056, 0.049, 0.051)
    known = [value for value in values if value is not None]
    plan = planned(cycles=5, target_rel_ci=0.05, max_cycles=30)
    assert second_stage(plan, _outcomes(values)) == {0: cycles_needed(known, 0.05, 30) + 1}
    capped = planned(cycles=5, target_rel_ci=0.001, max_cycles=7)
    assert second_stage(capped, _outcomes(values)) == {0: 7}


@pytest.mark.parametrize("values", [(None,) * 5, (0.05, None, None, None, None)])
def test_one_value_says_nothing_about_its_spread(values):
    """The experiment stays as it is."""
    assert second_stage(planned(cycles=5, target_rel_ci=0.02), _outcomes(values)) == {}


def test_where_there_is_no_energy_the_rate_decides():
    """Tokens per second, for an experiment that has no joules."""
    outcomes = {
        number: experiment_result(per_token_j=None, rate=rate) for number, rate in enumerate((100, 130, 90, 110, 95), 1)
    }
    plan = planned(cycles=5, target_rel_ci=0.05, max_cycles=40)
    assert second_stage(plan, outcomes) == {0: cycles_needed((100, 130, 90, 110, 95), 0.05, 40)}
