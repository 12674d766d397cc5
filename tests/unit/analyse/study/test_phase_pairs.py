from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from llenergymeasure.analyse.study.aggregate import Group
from llenergymeasure.analyse.study.phase_pairs import phase_splits
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Interval, Quantity, missing
from llenergymeasure.schema.study import PhaseSplit
from llenergymeasure.testing.builders import experiment_result


def _result(new_tokens: int, total_j: float | None, cycle: int = 0, **changes: Any) -> ExperimentResult:
    """Ten requests of ``new_tokens`` output tokens each over 10 s."""
    config = {"model": "m", "decoder": {"max_new_tokens": new_tokens, "ignore_eos": True}}
    energy = (
        missing("J", "no energy source was read")
        if total_j is None
        else Quantity(value=total_j, unit="J", grade="B", repeatability_95=Interval(low=total_j - 3, high=total_j + 3))
    )
    fields = {"config": config, "energy_total_j": energy} | changes
    return experiment_result(rate=float(new_tokens), cycle=cycle, **fields)


def _group(*results: ExperimentResult) -> Group:
    return Group("x", {}, results)


def _split(short: Sequence[ExperimentResult], full: Sequence[ExperimentResult]) -> PhaseSplit:
    (found,) = phase_splits([_group(*full), _group(*short)])
    assert (found.first_token, found.whole) == (1, 0)
    return found


def test_decode_is_what_the_longer_run_takes_beyond_the_first_token() -> None:
    """100 J and 420 J of 10 requests: 10 J of prefill and 32 J of decode a request, 32/31 J a token after the first."""
    found = _split([_result(1, 100.0)], [_result(32, 420.0)])
    assert found.prefill_j_per_request.value == pytest.approx(10.0)
    assert found.decode_j_per_request.value == pytest.approx(32.0)
    assert found.decode_j_per_output_token.value == pytest.approx(32 / 31)
    bounds = found.decode_j_per_request.repeatability_95
    assert bounds is not None and bounds.high - 32.0 == pytest.approx(0.3 * 2**0.5)


def test_cycles_are_paired_so_that_what_they_share_falls_out() -> None:
    """Boards that drift by 10 % from cycle to cycle, alike for both: the difference has the spread of the difference."""
    short = [_result(1, 100.0 + drift, cycle) for cycle, drift in enumerate((0.0, 10.0, 5.0))]
    full = [_result(32, 420.0 + drift, cycle) for cycle, drift in enumerate((0.0, 10.0, 5.0))]
    found = _split(short, full).decode_j_per_request
    assert found.n == 3 and found.value == pytest.approx(32.0)
    assert found.repeatability_95 is not None
    assert found.repeatability_95.high - found.repeatability_95.low == pytest.approx(0.0, abs=1e-9)


def test_two_cycles_give_a_range() -> None:
    """Two values are no spread."""
    found = _split([_result(1, 100.0, 0), _result(1, 100.0, 1)], [_result(32, 420.0, 0), _result(32, 440.0, 1)])
    bounds = found.decode_j_per_request.repeatability_95
    assert bounds is not None and (bounds.low, bounds.high) == (pytest.approx(32.0), pytest.approx(34.0))
    assert found.decode_j_per_request.interval_reason == "range of two cycles"


def test_a_difference_below_zero_is_not_resolved() -> None:
    """It is said with its interval, never printed as energy."""
    found = _split([_result(1, 100.0)], [_result(2, 99.0)])
    assert found.decode_j_per_request.value is None
    assert "not resolved: the difference of the two runs is -0.1 J (-0.52" in str(found.decode_j_per_request.reason)
    assert found.decode_j_per_output_token.value is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total_j": None}, "no energy source was read"),
        ({"method": experiment_result().method.model_copy(update={"window_s": 3.0})}, "too short for this"),
        ({"validity": experiment_result(remarks=("partial_pass",)).validity}, "a pass was cut short"),
        ({"cycle": 7}, "no cycle holds both runs"),
    ],
)
def test_pairs_that_do_not_tell_say_why(changes: dict[str, Any], reason: str) -> None:
    """No energy, too short a window, a cut pass, or no common cycle."""
    found = _split([_result(1, 100.0)], [_result(32, **{"total_j": 420.0} | changes)])
    assert found.decode_j_per_request.value is None and reason in str(found.decode_j_per_request.reason)


def test_experiments_that_differ_in_more_are_no_pair() -> None:
    """Another model, environment or decoding is another experiment; without a run of one token there is no split."""
    other = _result(1, 100.0, config={"model": "other", "decoder": {"max_new_tokens": 1, "ignore_eos": True}})
    elsewhere = _result(1, 100.0, environment_name="there")
    beam = _result(1, 100.0, config={"model": "m", "decoder": {"max_new_tokens": 1, "num_beams": 2}})
    groups = [_group(_result(32, 420.0)), _group(other), _group(elsewhere), _group(beam), _group()]
    assert phase_splits(groups) == ()
