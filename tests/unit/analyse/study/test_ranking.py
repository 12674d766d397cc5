"""Candidates in order, and tiers."""

from __future__ import annotations

import time

from llenergymeasure.analyse.study.ranking import Candidate, rank


def _candidate(place: int, *costs: float) -> Candidate:
    return Candidate(place, {(cycle, ""): cost for cycle, cost in enumerate(costs)})


def test_nothing_to_rank() -> None:
    """No candidate, no tier."""
    assert rank([]) == ((), {})


def test_one_candidate_is_the_best() -> None:
    """And compared with nobody."""
    tiers, compared = rank([_candidate(4, 1.0)])
    assert [tier.best for tier in tiers] == [4] and compared == {}


def test_only_comparisons_with_the_best_of_all_are_kept() -> None:
    """Lower tiers have their own best; what is said of an experiment is how it compares with the first one."""
    tiers, compared = rank([_candidate(0, 4, 4.1, 4.05), _candidate(1, 1, 1.01, 1.02), _candidate(2, 2, 2.1, 2.05)])
    assert [tier.best for tier in tiers] == [1, 2, 0]
    assert {place: found.verdict for place, found in compared.items()} == {0: "worse", 2: "worse"}
    assert compared[0].difference is not None and round(compared[0].difference.ratio_95[0]) == 4


def test_better_in_common_cycles_shares_the_tier() -> None:
    """The order by all cycles and that by those of both disagree: nothing is decided between them."""
    tiers, compared = rank([_candidate(0, 1.0, 1.0, 1.0), _candidate(1, 0.9, 0.9, 0.9, 2.0, 2.0)])
    assert compared[1].verdict == "better"
    assert [(tier.best, tier.undecided) for tier in tiers] == [(0, (1,))]


def test_a_thousand_experiments_that_all_differ() -> None:
    """As many tiers as experiments are found in about a second of CPU time."""
    candidates = [
        _candidate(place, *(1.05**place * (1 + noise) for noise in (0, 1e-4, -1e-4))) for place in range(1000)
    ]
    began_s = time.process_time()
    tiers, _ = rank(candidates[::-1])
    assert [tier.best for tier in tiers] == list(range(1000))
    assert time.process_time() - began_s < 5
