from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llenergymeasure.analyse.study.aggregate import Design, Group, aggregate
from llenergymeasure.model.codec import encode
from llenergymeasure.schema.environment import EnvironmentGroup
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.performance import MemoryGroup
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.study import Aggregate
from llenergymeasure.testing.builders import experiment_result, joules, machine


def _group(label: str, *per_token_j: float | None, **changes: object) -> Group:
    """One result a cycle, with this energy per token."""
    return Group(
        label,
        {"n": label},
        tuple(experiment_result(per_token_j=value, cycle=cycle, **changes) for cycle, value in enumerate(per_token_j)),  # type: ignore[arg-type]
    )


def _by_rate(label: str, *rates: float | None) -> Group:
    results = [experiment_result(per_token_j=None, rate=rate, cycle=cycle) for cycle, rate in enumerate(rates)]
    return Group(label, {}, tuple(results))


def _ranked(*groups: Group) -> tuple[str | None, dict[str, Aggregate]]:
    found = aggregate(groups)
    assert [one.label for one in found.aggregates] == [group.label for group in groups]
    return found.ranked_by, {one.label: one for one in found.aggregates}


# --- what is ranked by


def test_energy_per_token_ranks_where_all_have_it() -> None:
    """The least energy is the best."""
    by, found = _ranked(_group("a", 0.05, 0.05), _group("b", 0.04, 0.04))
    assert by == "energy_per_output_token_j"
    assert [found[label].best for label in "ab"] == [False, True]


def test_tokens_per_second_rank_where_one_has_no_energy() -> None:
    """The fastest is the best then, whatever the others' energy."""
    slow = _group("slow", 0.01, rate=50.0)
    by, found = _ranked(slow, _by_rate("fast", 200.0))
    assert by == "tokens_per_second" and found["fast"].best
    assert found["slow"].energy_per_output_token_j.value == 0.01


def test_estimated_and_metered_energy_are_not_ranked_together() -> None:
    """A model's joules are no meter's: the rate ranks."""
    by, found = _ranked(_group("metered", 0.05, rate=10.0), _group("estimated", 0.01, rate=5.0, estimated=True))
    assert by == "tokens_per_second" and found["metered"].best
    by, _ = _ranked(_group("a", 0.05, estimated=True), _group("b", 0.01, estimated=True))
    assert by == "energy_per_output_token_j"


def test_nothing_to_rank() -> None:
    """Without a valid result there is no best, and each says why."""
    by, found = _ranked(_group("failed"), _group("invalid", 0.05, remarks=("physics",)))
    assert by is None and not any(one.best for one in found.values())
    assert found["failed"].verdict_reason == "no trial of it ended"
    assert found["invalid"].verdict_reason == "has no valid result"
    nothing = aggregate(())
    assert (nothing.ranked_by, nothing.aggregates, nothing.tiers) == (None, (), ())


def test_invalid_results_do_not_compete() -> None:
    """A group without a valid result is shown and not ranked; it does not change what the others are ranked by."""
    by, found = _ranked(
        _group("invalid", 0.01, 0.01, remarks=("counter_reset",)),
        _group("valid", 0.05, 0.05),
        _group("none", None, remarks=("physics",)),
    )
    assert by == "energy_per_output_token_j" and found["valid"].best
    assert found["invalid"].energy_per_output_token_j.value == pytest.approx(0.01)
    assert (found["invalid"].verdict, found["invalid"].verdict_reason) == (None, "has no valid result")
    assert found["invalid"].remarks == ("counter_reset",)


def test_one_invalid_cycle_is_left_out_of_numbers_and_ranking() -> None:
    """The other cycles stand for the group; the remark can be seen."""
    broken = experiment_result(per_token_j=9.0, cycle=1, remarks=("suspended",))
    good = [experiment_result(per_token_j=0.04, cycle=cycle) for cycle in (0, 2, 3)]
    group = Group("some", {}, (good[0], broken, *good[1:]))
    _, found = _ranked(group, _group("other", 0.05, 0.05, 0.05, 0.05))
    assert found["some"].best and found["some"].n == 3
    assert found["some"].energy_per_output_token_j.value == pytest.approx(0.04)
    assert found["some"].remarks == ("suspended",)
    assert found["other"].verdict == "worse"


def test_a_window_without_a_token_is_not_ranked() -> None:
    """No rate, no rank; the others are ranked as if it were not there, however slow they are."""
    by, found = _ranked(_by_rate("empty", None), _group("slow", 5.0, rate=0.5))
    assert by == "energy_per_output_token_j" and found["slow"].best
    assert found["empty"].verdict_reason == "the window holds no output token"
    by, found = _ranked(_by_rate("empty", None), _by_rate("slow", 0.5))
    assert by == "tokens_per_second" and found["slow"].best


# --- verdicts


_BEST = (0.050, 0.051, 0.049, 0.050, 0.0505)


def _against_best(ratio: float, spread: float, seed: int = 1) -> str | None:
    noise = np.random.default_rng(seed).normal(0, spread, len(_BEST))
    group = _group("other", *(value * ratio * math.exp(error) for value, error in zip(_BEST, noise, strict=True)))
    _, found = _ranked(_group("best", *_BEST), group)
    assert found["best"].best and (found["best"].verdict, found["best"].verdict_reason) == (None, None)
    return found["other"].verdict


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [(1.10, 0.01, "worse"), (1.005, 0.002, "equivalent"), (1.10, 0.15, "undecided")],
)
def test_verdicts_against_the_best(ratio: float, spread: float, verdict: str) -> None:
    """Distinct, within two per cent, or not to be told."""
    assert _against_best(ratio, spread) == verdict


def test_what_all_cycles_share_does_not_hide_a_difference() -> None:
    """Cycles are compared in pairs: drift of both cancels."""
    drift = (1.0, 1.3, 0.8, 1.1, 0.7)
    _, found = _ranked(
        _group("best", *(0.05 * factor for factor in drift)),
        _group("other", *(0.0525 * factor * (1 + 0.001 * index) for index, factor in enumerate(drift))),
    )
    assert found["other"].verdict == "worse"


def test_a_rate_is_worse_when_it_is_lower() -> None:
    """By tokens per second the slower one is the worse."""
    _, found = _ranked(_by_rate("slow", 90, 91, 89), _by_rate("fast", 100, 101, 99.5))
    assert found["fast"].best and found["slow"].verdict == "worse"


@pytest.mark.parametrize("cycles", [1, 2])
def test_fewer_than_three_cycles_decide_nothing(cycles: int) -> None:
    """The best is named, the difference is not judged, and the reason says so."""
    _, found = _ranked(_group("a", *[0.05] * cycles), _group("b", *[0.04] * cycles))
    assert found["b"].best
    assert found["a"].verdict is None and found["a"].verdict_reason == "needs at least 3 cycles of both"


def test_cycles_of_both_are_pairs_and_others_are_compared_by_their_means() -> None:
    """A cycle that one of them lacks makes no pair; with too few pairs the means are compared, and the result says so."""
    some = Group("some", {}, tuple(experiment_result(per_token_j=0.05, cycle=cycle) for cycle in (2, 3, 4)))
    _, found = _ranked(_group("best", *[0.04] * 5), some)
    assert (found["some"].verdict, found["some"].comparison_method) == ("worse", "paired")
    _, found = _ranked(_group("best", 0.04, 0.041, 0.04), some)
    assert (found["some"].verdict, found["some"].comparison_method) == ("worse", "unpaired")


def test_pairs_are_of_one_machine() -> None:
    """A cycle that was measured on two boards, after a resume on another, is no pair; nor is one without an order in blocks."""
    board = EnvironmentGroup.model_validate({"machine": encode(machine())})
    other = Group(
        "other",
        {},
        tuple(experiment_result(per_token_j=0.05, cycle=cycle, environment=board) for cycle in range(3)),
    )
    _, found = _ranked(_group("best", 0.04, 0.04, 0.04), other)
    assert found["other"].comparison_method == "unpaired"
    groups = [_group("best", 0.04, 0.04, 0.04), _group("other", 0.05, 0.05, 0.05)]
    assert aggregate(groups).aggregates[1].comparison_method == "paired"
    assert aggregate(groups, Design(blocks=False)).aggregates[1].comparison_method == "unpaired"


def test_the_ratio_to_the_best_is_of_what_is_ranked() -> None:
    """More joules are a ratio above 1, fewer tokens per second one below, each with its interval and number of pairs."""
    _, found = _ranked(_group("best", 0.04, 0.041, 0.04), _group("other", 0.05, 0.051, 0.0505))
    ratio = found["other"].ratio_to_best
    assert ratio is not None and ratio.value is not None and ratio.repeatability_95 is not None
    assert ratio.value == pytest.approx(1.2521, abs=1e-4) and ratio.n == 3
    assert ratio.repeatability_95.low < ratio.value < ratio.repeatability_95.high
    assert found["best"].ratio_to_best is None
    _, found = _ranked(_by_rate("slow", 80, 81, 79), _by_rate("fast", 100, 101, 100))
    ratio = found["slow"].ratio_to_best
    assert ratio is not None and ratio.value is not None and ratio.repeatability_95 is not None
    assert ratio.value == pytest.approx(0.797, abs=1e-3)
    assert ratio.repeatability_95.low < ratio.value < ratio.repeatability_95.high


def test_tiers_put_those_together_that_data_do_not_order() -> None:
    """First the best with its equals, then the best of the worse ones, and so on, as places in the aggregates."""
    wide = (0.5, 2.0, 0.8, 1.6, 0.7)
    found = aggregate(
        [
            _group("worst", *[0.20] * 5),
            _group("best", *_BEST),
            _group("worse", *(value * 2 for value in _BEST)),
            _group("same", *(value * 1.002 for value in _BEST)),
            _group("unclear", *(value * factor * 1.2 for value, factor in zip(_BEST, wide, strict=True))),
            _group("invalid", 0.01, remarks=("physics",)),
        ]
    )
    assert [(tier.best, tier.equivalent, tier.undecided) for tier in found.tiers] == [
        (1, (3,), (4,)),
        (2, (), ()),
        (0, (), ()),
    ]


def test_too_few_cycles_make_one_tier() -> None:
    """What cannot be compared is not ordered."""
    found = aggregate([_group("a", 0.05), _group("b", 0.04)])
    assert [(tier.best, tier.equivalent, tier.undecided) for tier in found.tiers] == [(1, (), (0,))]


def test_better_in_the_cycles_of_both_is_said() -> None:
    """A group whose bad cycles the best lacks can be better in those that both have."""
    best = Group("best", {}, tuple(experiment_result(per_token_j=0.04, cycle=cycle) for cycle in (0, 1, 2)))
    other = _group("other", 0.038, 0.038, 0.038, 0.09, 0.09)
    _, found = _ranked(best, other)
    assert found["best"].best and found["other"].verdict == "better"


def test_many_comparisons_are_corrected() -> None:
    """What is distinct alone is undecided among many."""
    errors = (0.00, 0.02, 0.035, 0.005, 0.03)
    weak = [value * math.exp(error + 0.012) for value, error in zip(_BEST, errors, strict=True)]
    _, alone = _ranked(_group("best", *_BEST), _group("weak", *weak))
    assert alone["weak"].verdict == "worse"
    crowd = [_group(f"weak {index}", *weak) for index in range(10)]
    _, among = _ranked(_group("best", *_BEST), *crowd)
    assert {among[f"weak {index}"].verdict for index in range(10)} == {"undecided"}


def test_a_first_stage_gives_the_spread_and_all_cycles_the_mean() -> None:
    """Where five cycles decided how many there are, the later ones do not narrow or widen the spread."""
    early, late = [0.050, 0.051, 0.049, 0.0505, 0.0495], [0.060, 0.040, 0.050, 0.051, 0.049]
    (found,) = aggregate([_group("a", *early, *late)], Design(first_stage=5)).aggregates
    energy = found.energy_per_output_token_j
    half = stats.t.ppf(0.975, 4) * np.std(np.log(early), ddof=1) / math.sqrt(10)
    assert energy.repeatability_95 is not None and energy.n == 10
    assert energy.repeatability_95.high / energy.repeatability_95.low == pytest.approx(math.exp(2 * half))
    assert energy.interval_reason == "by the spread of the first 5 cycles, which set their number"
    (only,) = aggregate([_group("a", *early)], Design(first_stage=5)).aggregates
    assert only.energy_per_output_token_j.interval_reason is None


def test_memory_is_the_most_that_is_known() -> None:
    """Of the process and of the devices apart; what no engine says is not known."""
    results = tuple(
        experiment_result(
            cycle=cycle,
            memory=MemoryGroup(
                weights_bytes=None,
                kv_bytes=None,
                device_allocated_peak_bytes=on_device,
                device_reserved_peak_bytes=None,
                process_peak_bytes=7,
            ),
        )
        for cycle, on_device in enumerate((5, None, 3))
    )
    (found,) = aggregate([Group("a", {}, results)]).aggregates
    assert (found.memory_bytes, found.device_memory_bytes) == (7, 5)
    (found,) = aggregate([_group("a", 0.05)]).aggregates
    assert found.device_memory_bytes is None


# --- numbers over cycles


def test_energy_is_pooled_over_cycles() -> None:
    """Joules over tokens: a cycle with more tokens counts more; the interval is over cycles."""
    results = (
        experiment_result(per_token_j=0.04, rate=300.0, cycle=0),
        experiment_result(per_token_j=0.08, rate=100.0, cycle=1),
        experiment_result(per_token_j=0.06, rate=100.0, cycle=2),
    )
    (found,) = aggregate([Group("a", {}, results)]).aggregates
    assert found.n == found.energy_per_output_token_j.n == 3
    assert found.energy_per_output_token_j.value == pytest.approx((0.04 * 3000 + 0.08 * 1000 + 0.06 * 1000) / 5000)
    assert found.tokens_per_second.value == pytest.approx(5000 / 30)
    assert found.mean_power_w.value == pytest.approx(260 / 30)
    assert found.energy_per_output_token_j.repeatability_95 is not None
    assert (
        found.energy_per_output_token_j.repeatability_95.low
        < 0.052
        < found.energy_per_output_token_j.repeatability_95.high
    )


def test_one_cycle_keeps_its_own_interval() -> None:
    """A single run's uncertainty is its own."""
    own = joules(0.05, "J/token", repeatability_95={"low": 0.04, "high": 0.06})
    (found,) = aggregate([Group("a", {}, (experiment_result(energy_per_output_token_j=own),))]).aggregates
    assert found.energy_per_output_token_j == own


def test_two_cycles_have_their_range() -> None:
    """And it is called that."""
    (found,) = aggregate([_group("a", 0.04, 0.06)]).aggregates
    energy = found.energy_per_output_token_j
    assert energy.repeatability_95 is not None
    assert (energy.repeatability_95.low, energy.repeatability_95.high) == (0.04, 0.06)
    assert energy.interval_reason == "range of two cycles"
    metered = _energy(_with_bounds(0, 0.05, 0.05), _with_bounds(1, 0.06, 0.05))
    assert metered.absolute_95 is None  # a range is no interval that more could be added to


def test_a_cycle_without_a_number_makes_none() -> None:
    """Numbers of some cycles are not shown as those of all; the reason is kept."""
    (found,) = aggregate([_group("a", 0.05, None)]).aggregates
    assert found.energy_per_output_token_j.value is None
    assert found.energy_per_output_token_j.reason == "no energy source was read"
    assert found.tokens_per_second.value == 100.0


def test_estimated_and_metered_cycles_are_not_pooled() -> None:
    """Joules of a model and of a meter are never added."""
    results = (experiment_result(cycle=0), experiment_result(cycle=1, estimated=True))
    (found,) = aggregate([Group("a", {}, results)]).aggregates
    for quantity in (found.energy_per_output_token_j, found.mean_power_w):
        assert (quantity.value, quantity.reason) == (None, "estimated and metered energy are never added")


def test_no_result_has_no_numbers() -> None:
    """An experiment that never ended is in the table with why."""
    (found,) = aggregate([_group("a")]).aggregates
    assert (found.n, found.ttft_ms_p50, found.memory_bytes) == (0, None, None)
    assert found.tokens_per_second.reason == "no trial of it ended"


def _with_bounds(
    cycle: int, value: float, gain: float | None, own: float | None = 0.0, **changes: object
) -> ExperimentResult:
    """A result whose absolute interval holds a relative ``gain`` beside its ``own`` relative repeatability."""
    quantity = {}
    if own is not None:
        quantity["repeatability_95"] = {"low": value * (1 - own), "high": value * (1 + own)}
    if gain is not None:
        half = math.hypot(gain, own or 0.0)
        quantity["absolute_95"] = {"low": value * (1 - half), "high": value * (1 + half)}
    return experiment_result(
        per_token_j=value, cycle=cycle, energy_per_output_token_j=joules(value, "J/token", **quantity, **changes)
    )


def _energy(*results: ExperimentResult) -> Quantity:
    (found,) = aggregate([Group("a", {}, results)]).aggregates
    return found.energy_per_output_token_j


def test_more_cycles_do_not_make_the_gain_smaller() -> None:
    """The absolute interval of equal cycles is as wide as the sensor's gain, however many there are."""
    energy = _energy(*(_with_bounds(cycle, 0.05, 0.05, own=0.01) for cycle in range(8)))
    assert energy.absolute_95 is not None and energy.repeatability_95 is not None
    assert (energy.absolute_95.low, energy.absolute_95.high) == pytest.approx((0.0475, 0.0525))
    assert energy.repeatability_95.high == pytest.approx(0.05)


def test_spread_and_gain_are_both_in_the_absolute_interval() -> None:
    """It is wider than either alone."""
    energy = _energy(*(_with_bounds(cycle, value, 0.05) for cycle, value in enumerate((0.048, 0.05, 0.052, 0.05))))
    assert energy.absolute_95 is not None and energy.repeatability_95 is not None
    assert energy.absolute_95.low < min(energy.repeatability_95.low, 0.0475)
    assert energy.absolute_95.high > max(energy.repeatability_95.high, 0.0525)


def test_without_bounds_there_is_no_absolute_interval() -> None:
    """A gain that one cycle does not know is not known; a gain without an interval of its own is all there is."""
    assert _energy(_with_bounds(0, 0.05, 0.05), _with_bounds(1, 0.05, None)).absolute_95 is None
    whole = _energy(*(_with_bounds(cycle, 0.05, 0.05, own=None) for cycle in range(3))).absolute_95
    assert whole is not None and whole.high == pytest.approx(0.0525)


def test_bounds_of_a_model_are_joined() -> None:
    """The truth of each cycle lies in its bounds, so that of all lies in their hull."""
    results = [
        experiment_result(
            cycle=cycle,
            estimated=True,
            energy_per_output_token_j=joules(0.05, "J/token", estimated=True, absolute_95={"low": low, "high": high}),
        )
        for cycle, (low, high) in enumerate([(0.01, 0.09), (0.02, 0.10), (0.03, 0.08)])
    ]
    energy = _energy(*results)
    assert energy.absolute_95 is not None
    assert (energy.absolute_95.low, energy.absolute_95.high, energy.estimated) == (0.01, 0.10, True)


def test_a_rate_has_no_gain() -> None:
    """Over cycles the rate's two intervals are one."""
    (found,) = aggregate([_by_rate("a", 100, 101, 99)]).aggregates
    assert found.tokens_per_second.absolute_95 == found.tokens_per_second.repeatability_95 is not None
