"""Experiments over their cycles, and which of them is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.statistics import holm, log_mean_interval, log_ratio_interval, log_ratio_p
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Interval, Quantity, missing
from llenergymeasure.schema.study import Aggregate, Verdict

# Two configurations within this ratio of each other are equivalent (TOST, each side at 5 %).
EQUIVALENCE_MARGIN = 0.02

_ENERGY, _RATE = "energy_per_output_token_j", "tokens_per_second"


# Fewer pairs say nothing about their own spread.
_MINIMUM_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Group:
    """The results of one experiment, one a cycle."""

    label: str
    varied: Mapping[str, object]
    results: tuple[ExperimentResult, ...]

    @property
    def counted(self) -> tuple[ExperimentResult, ...]:
        """The valid results; all of them when none is valid, so that their numbers can still be shown."""
        return tuple(result for result in self.results if result.validity.valid) or self.results


def aggregate(groups: Sequence[Group]) -> tuple[str | None, tuple[Aggregate, ...]]:
    """(what is ranked by, one aggregate a group). Invalid results are left out of numbers and ranking.

    Ranked by energy per output token where every group that can be ranked has one of one kind (metered or estimated), else by
    tokens per second.
    """
    rankable = [group for group in groups if _why_not_ranked(group) is None]
    if not rankable:
        return None, tuple(_aggregate(group, False, None, _why_not_ranked(group)) for group in groups)
    by = _ranking_quantity(rankable)
    best = min(rankable, key=lambda group: _score(group, by))
    verdicts = _verdicts(best, [group for group in rankable if group is not best], by)
    return by, tuple(
        _aggregate(group, group is best, *verdicts.get(id(group), (None, _why_not_ranked(group)))) for group in groups
    )


def _why_not_ranked(group: Group) -> str | None:
    if not group.results:
        return "no trial of it ended"
    if not any(result.validity.valid for result in group.results):
        return "has no valid result"
    return next((rate.reason for result in group.counted if (rate := result.tokens_per_second).value is None), None)


def _ranking_quantity(groups: Sequence[Group]) -> str:
    counted = [result for group in groups for result in group.counted]
    energies = [result.energy_per_output_token_j for result in counted]
    one_kind = len({(result.energy_per_output_token_j.estimated, result.energy_scope) for result in counted}) == 1
    return _ENERGY if one_kind and all(energy.value is not None for energy in energies) else _RATE


def _values(group: Group, name: str) -> dict[int, float]:
    """A quantity by cycle."""
    quantities = {result.cycle: getattr(result, name).value for result in group.counted}
    return {cycle: value for cycle, value in quantities.items() if value is not None}


def _score(group: Group, by: str) -> float:
    """The smaller, the better."""
    logs = [math.log(value) for value in _values(group, by).values()]
    mean = math.fsum(logs) / len(logs)
    return mean if by == _ENERGY else -mean


def _verdicts(best: Group, others: Sequence[Group], by: str) -> dict[int, tuple[Verdict | None, str | None]]:
    """Each other group against the best by paired log-ratios, one pair a cycle; Holm's correction over them."""
    pairs = {id(group): _pairs(group, best, by) for group in others}
    tested = [key for key, found in pairs.items() if len(found) >= _MINIMUM_PAIRS]
    distinct = dict(zip(tested, holm([log_ratio_p(pairs[key]) for key in tested]), strict=True))
    few = (None, f"needs at least {_MINIMUM_PAIRS} cycles in common with the best")
    return {key: (_verdict(found, distinct[key]), None) if key in distinct else few for key, found in pairs.items()}


def _pairs(group: Group, best: Group, by: str) -> list[tuple[float, float]]:
    """(the group's, the best's) of each cycle that both have, turned so that a ratio above 1 is worse."""
    mine, theirs = _values(group, by), _values(best, by)
    pairs = [(mine[cycle], theirs[cycle]) for cycle in sorted(mine.keys() & theirs.keys())]
    return pairs if by == _ENERGY else [(b, a) for a, b in pairs]


def _verdict(pairs: list[tuple[float, float]], distinct: bool) -> Verdict:
    mean, low, high = log_ratio_interval(pairs, 0.90)
    margin = math.log1p(EQUIVALENCE_MARGIN)
    if -margin < low and high < margin:
        return "equivalent"
    if not distinct:
        return "undecided"
    return "worse" if mean > 0 else "better"


def _aggregate(group: Group, is_best: bool, verdict: Verdict | None, reason: str | None) -> Aggregate:
    first = group.results[0] if group.results else None
    ttft = [value for result in group.counted if (value := result.latency.ttft_ms.p50) is not None]
    memory = [value for result in group.counted if (value := result.memory.process_peak_bytes) is not None]
    return Aggregate(
        label=group.label,
        measurement_config_hash=first.measurement_config_hash if first else "",
        environment_name=first.environment_name if first else None,
        varied=group.varied,
        n=len(group.counted),
        energy_per_output_token_j=_over_cycles(group, _ENERGY, "J/token"),
        tokens_per_second=_over_cycles(group, _RATE, "tokens/s"),
        mean_power_w=_over_cycles(group, "mean_power_w", "W"),
        ttft_ms_p50=sum(ttft) / len(ttft) if ttft else None,
        memory_bytes=max(memory) if memory else None,
        remarks=tuple(sorted({remark.code for result in group.results for remark in result.validity.remarks})),
        best=is_best,
        verdict=verdict,
        verdict_reason=reason,
    )


def _over_cycles(group: Group, name: str, unit: str) -> Quantity:
    """Ratio of sums where it is one, its interval over cycles; a single run keeps its own within-run interval."""
    quantities: list[Quantity] = [getattr(result, name) for result in group.counted]
    if not quantities:
        return missing(unit, "no trial of it ended")
    gone = next((quantity for quantity in quantities if quantity.value is None), None)
    if gone is not None:
        return missing(unit, gone.reason or "not known")
    if len({quantity.estimated for quantity in quantities}) > 1:
        return missing(unit, "estimated and metered energy are never added")
    if len(quantities) == 1:
        return quantities[0]
    value, interval = _pooled(group, name), log_mean_interval(list(_values(group, name).values()))[1]
    return quantities[0].model_copy(
        update={
            "value": value,
            "repeatability_95": interval,
            "absolute_95": interval if name == _RATE else _absolute(value, interval, quantities),
            "n": len(quantities),
            "interval_reason": "range of two cycles" if len(quantities) == 2 else None,
        }
    )


def _absolute(value: float, repeatability: Interval | None, quantities: Sequence[Quantity]) -> Interval | None:
    """Everything: of a model the hull of its bounds; of a meter the spread over cycles and the largest gain of one of them.

    Gain is what a single run's absolute interval holds beyond its repeatability; more cycles do not make it smaller.
    """
    bounds = [quantity.absolute_95 for quantity in quantities if quantity.absolute_95 is not None]
    if repeatability is None or len(bounds) < len(quantities):
        return None
    if quantities[0].estimated:
        return Interval(low=min(bound.low for bound in bounds), high=max(bound.high for bound in bounds))
    half = math.hypot(_half(repeatability) / value, max(map(_relative_gain, quantities)))
    return Interval(low=value * (1 - half), high=value * (1 + half))


def _relative_gain(quantity: Quantity) -> float:
    assert quantity.value is not None and quantity.absolute_95 is not None
    own = _half(quantity.repeatability_95) if quantity.repeatability_95 is not None else 0.0
    return math.sqrt(max(_half(quantity.absolute_95) ** 2 - own**2, 0.0)) / quantity.value


def _half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def _pooled(group: Group, name: str) -> float:
    """Ratio of sums over the cycles. For energy and power, every cycle has a total: the caller has looked."""
    tokens = sum(result.tokens.output_tokens for result in group.counted)
    seconds = math.fsum(result.method.window_s for result in group.counted)
    if name == _RATE:
        return tokens / seconds
    totals_j = [total_j for result in group.counted if (total_j := result.energy_total_j.value) is not None]
    assert len(totals_j) == len(group.counted), "a missing total is not a total of zero"
    return math.fsum(totals_j) / (tokens if name == _ENERGY else seconds)
