"""Experiments over their cycles, and which of them is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.statistics import log_mean_interval, log_ratio_interval
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Interval, Quantity, missing
from llenergymeasure.schema.study import Aggregate, Verdict

# Two configurations within this ratio of each other are equivalent (TOST, each side at 5 %).
EQUIVALENCE_MARGIN = 0.02

_ENERGY, _RATE = "energy_per_output_token_j", "tokens_per_second"


@dataclass(frozen=True, slots=True)
class Group:
    """The results of one experiment, one a cycle."""

    label: str
    varied: Mapping[str, object]
    results: tuple[ExperimentResult, ...]


def aggregate(groups: Sequence[Group]) -> tuple[str | None, tuple[Aggregate, ...]]:
    """(what is ranked by, one aggregate a group). Invalid results are left out of the numbers' ranking.

    Ranked by energy per output token where every valid group has one of one kind, else by tokens per second.
    """
    rankable = [group for group in groups if group.results and all(result.validity.valid for result in group.results)]
    by = _ranking_quantity(rankable)
    best = min(rankable, key=lambda group: _score(group, by), default=None) if by else None
    others = [group for group in rankable if group is not best]
    verdicts = _verdicts(best, others, by) if best is not None and by is not None else {}
    return by, tuple(
        _aggregate(group, group is best, *verdicts.get(id(group), (None, _not_compared(group, best))))
        for group in groups
    )


def _ranking_quantity(groups: Sequence[Group]) -> str | None:
    if not groups:
        return None
    energies = [result.energy_per_output_token_j for group in groups for result in group.results]
    if all(energy.value is not None for energy in energies) and len({energy.estimated for energy in energies}) == 1:
        return _ENERGY
    return _RATE


def _values(group: Group, name: str) -> list[float]:
    return [value for result in group.results if (value := getattr(result, name).value) is not None]


def _score(group: Group, by: str) -> float:
    mean = math.fsum(math.log(value) for value in _values(group, by)) / len(group.results)
    return mean if by == _ENERGY else -mean


def _verdicts(best: Group, others: Sequence[Group], by: str) -> dict[int, tuple[Verdict | None, str | None]]:
    """Each other group against the best by paired log-ratios, one pair a cycle; Holm's correction over them."""
    tested: list[tuple[float, Group, list[tuple[float, float]]]] = []
    verdicts: dict[int, tuple[Verdict | None, str | None]] = {}
    for group in others:
        pairs = _pairs(group, best, by)
        if len(pairs) < 3:
            verdicts[id(group)] = (None, "needs at least 3 cycles")
            continue
        mean, low, high = log_ratio_interval(pairs)
        strength = abs(mean) / max(high - mean, 1e-300)
        tested.append((strength, group, pairs))
    tested.sort(key=lambda item: -item[0])
    distinct_so_far = True
    for rank, (_, group, pairs) in enumerate(tested):
        alpha = 0.05 / (len(tested) - rank)
        _, low, high = log_ratio_interval(pairs, 1 - alpha)
        distinct_so_far = distinct_so_far and (low > 0 or high < 0)
        verdicts[id(group)] = (_verdict(pairs, distinct_so_far), None)
    return verdicts


def _verdict(pairs: list[tuple[float, float]], distinct: bool) -> Verdict:
    _, low, high = log_ratio_interval(pairs, 0.90)
    margin = math.log1p(EQUIVALENCE_MARGIN)
    if -margin < low and high < margin:
        return "equivalent"
    return "worse" if distinct else "undecided"


def _pairs(group: Group, best: Group, by: str) -> list[tuple[float, float]]:
    mine = {result.cycle: getattr(result, by).value for result in group.results}
    theirs = {result.cycle: getattr(result, by).value for result in best.results}
    return [(mine[cycle], theirs[cycle]) for cycle in sorted(mine.keys() & theirs.keys())]


def _not_compared(group: Group, best: Group | None) -> str | None:
    if group is best:
        return None
    return "has an invalid result" if group.results else "no trial of it ended"


def _aggregate(group: Group, is_best: bool, verdict: Verdict | None, reason: str | None) -> Aggregate:
    first = group.results[0] if group.results else None
    ttft = [value for result in group.results if (value := result.latency.ttft_ms.p50) is not None]
    memory = [value for result in group.results if (value := result.memory.process_peak_bytes) is not None]
    return Aggregate(
        label=group.label,
        measurement_config_hash=first.measurement_config_hash if first else "",
        environment_name=first.environment_name if first else None,
        varied=group.varied,
        n=len(group.results),
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
    quantities: list[Quantity] = [getattr(result, name) for result in group.results]
    if not quantities:
        return missing(unit, "no trial of it ended")
    gone = next((quantity for quantity in quantities if quantity.value is None), None)
    if gone is not None:
        return missing(unit, gone.reason or "not known")
    if len(quantities) == 1:
        return quantities[0]
    value, interval = _pooled(group, name), log_mean_interval(_values(group, name))[1]
    bounds = [quantity.absolute_95 for quantity in quantities if quantity.absolute_95 is not None]
    absolute = None
    if quantities[0].estimated and len(bounds) == len(quantities):
        absolute = Interval(low=min(bound.low for bound in bounds), high=max(bound.high for bound in bounds))
    return quantities[0].model_copy(
        update={
            "value": value,
            "repeatability_95": interval,
            "absolute_95": absolute,
            "n": len(quantities),
            "interval_reason": "range of two cycles" if len(quantities) == 2 else None,
        }
    )


def _pooled(group: Group, name: str) -> float:
    energy = [result.energy_total_j.value or 0.0 for result in group.results]
    tokens = sum(result.tokens.output_tokens for result in group.results)
    seconds = math.fsum(result.method.window_s for result in group.results)
    if name == _ENERGY:
        return math.fsum(energy) / tokens
    return tokens / seconds if name == _RATE else math.fsum(energy) / seconds
