"""Experiments over their cycles, and which of them is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.analyse.energy.uncertainty import Term, absolute
from llenergymeasure.analyse.statistics import Z_975, log_mean_interval, t_975
from llenergymeasure.analyse.study.comparability import comparabilities, machine_of
from llenergymeasure.analyse.study.compare import MINIMUM_CYCLES, Block, Difference
from llenergymeasure.analyse.study.leakage import Leakage, fitted, start_c
from llenergymeasure.analyse.study.ranking import Candidate, Compared, rank
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Interval, Quantity, missing
from llenergymeasure.schema.study import Aggregate, Comparability, Tier

_ENERGY, _RATE = "energy_per_output_token_j", "tokens_per_second"
# Terms that are the same in every cycle on one board.
_COMMON = ("u_gain", "u_drift", "u_source")


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


@dataclass(frozen=True, slots=True)
class Design:
    """How the cycles of a study came about.

    ``blocks``: a cycle's trials of all experiments ran side by side. ``first_stage``: so many cycles decided how many each
    experiment has; ``None`` when the number was fixed beforehand.
    """

    blocks: bool = True
    first_stage: int | None = None


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A study's experiments over their cycles, one aggregate a group; their order, what it goes by, and with which caveats."""

    ranked_by: str | None
    aggregates: tuple[Aggregate, ...]
    tiers: tuple[Tier, ...]
    comparability: tuple[Comparability, ...]


def aggregate(groups: Sequence[Group], design: Design = Design()) -> Aggregated:
    """Numbers over cycles and the ranking. Invalid results are left out of both.

    Ranked by energy per output token where every group that can be ranked has one of one kind (metered or estimated), else by
    tokens per second.
    """
    why_not = [_why_not_ranked(group) for group in groups]
    rankable = [place for place, reason in enumerate(why_not) if reason is None]
    by = _ranking_quantity([groups[place] for place in rankable]) if rankable else None
    leakage = fitted([groups[place].counted for place in rankable]) if by == _ENERGY else None
    tiers, compared = rank(
        [Candidate(place, _costs(groups[place], by, leakage)) for place in rankable if by is not None],
        blocks=design.blocks,
        first_stage=design.first_stage,
    )
    return Aggregated(
        ranked_by=by,
        aggregates=tuple(
            _aggregate(
                group, design, by, bool(tiers) and tiers[0].best == place, compared.get(place), why_not[place], leakage
            )
            for place, group in enumerate(groups)
        ),
        tiers=tiers,
        comparability=comparabilities([(group.varied, group.counted) for group in groups]),
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


def _values(group: Group, name: str) -> dict[Block, float]:
    """A quantity by block, in order of cycles."""
    found = {
        (result.cycle, machine_of(result)): getattr(result, name).value
        for result in sorted(group.counted, key=lambda result: result.cycle)
    }
    return {block: value for block, value in found.items() if value is not None}


def _costs(group: Group, by: str, leakage: Leakage | None) -> dict[Block, float]:
    """What is ranked by, turned so that the smaller is the better; energy as at one start temperature, where that is known."""
    values = _values(group, by)
    if by != _ENERGY:
        return {block: 1 / value for block, value in values.items()}
    if leakage is None:
        return values
    begun_c = {(result.cycle, machine_of(result)): start_c(result) for result in group.counted}
    return {
        block: value if (at_c := begun_c[block]) is None else leakage.at_mean(value, at_c)
        for block, value in values.items()
    }


def _aggregate(
    group: Group,
    design: Design,
    by: str | None,
    is_best: bool,
    compared: Compared | None,
    why_not: str | None,
    leakage: Leakage | None,
) -> Aggregate:
    first = group.results[0] if group.results else None
    ttft = [value for result in group.counted if (value := result.latency.ttft_ms.p50) is not None]
    found = compared.difference if compared else None
    return Aggregate(
        label=group.label,
        measurement_config_hash=first.measurement_config_hash if first else "",
        environment_name=first.environment_name if first else None,
        varied=group.varied,
        n=len(group.counted),
        energy_per_output_token_j=_over_cycles(group, _ENERGY, "J/token", design),
        tokens_per_second=_over_cycles(group, _RATE, "tokens/s", design),
        mean_power_w=_over_cycles(group, "mean_power_w", "W", design),
        ttft_ms_p50=sum(ttft) / len(ttft) if ttft else None,
        memory_bytes=_most(group, "process_peak_bytes"),
        device_memory_bytes=_most(group, "device_allocated_peak_bytes"),
        remarks=tuple(sorted({remark.code for result in group.results for remark in result.validity.remarks})),
        best=is_best,
        verdict=compared.verdict if compared else None,
        verdict_reason=compared.reason if compared else why_not,
        comparison_method=found.method if found else None,
        ratio_to_best=_ratio(found, by) if found else None,
        energy_per_k=None if leakage is None or why_not else leakage.per_k,
    )


def _most(group: Group, name: str) -> int | None:
    """The most over the cycles that say it."""
    return max((value for result in group.counted if (value := getattr(result.memory, name)) is not None), default=None)


def _ratio(found: Difference, by: str | None) -> Quantity:
    """This over the best, of what is ranked by as it is: a rate was turned for the ranking and is turned back."""
    value, low, high = found.ratio_95
    if by == _RATE:
        value, low, high = 1 / value, 1 / high, 1 / low
    return Quantity(value=value, unit="1", repeatability_95=Interval(low=low, high=high), n=found.n)


def _over_cycles(group: Group, name: str, unit: str, design: Design) -> Quantity:
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
    values, first_stage = _values(group, name), _first_stage(group, design)
    value, interval = _pooled(group, name), log_mean_interval(list(values.values()), first_stage)[1]
    return quantities[0].model_copy(
        update={
            "value": value,
            "repeatability_95": interval,
            "absolute_95": interval if name == _RATE else _absolute(value, interval, quantities, group, first_stage),
            "n": len(quantities),
            "interval_reason": _what_it_is(len(quantities), first_stage),
        }
    )


def _first_stage(group: Group, design: Design) -> int | None:
    """How many of the cycles that count gave the spread, where they are not all."""
    if design.first_stage is None:
        return None
    early = sum(result.cycle < design.first_stage for result in group.counted)
    return early if MINIMUM_CYCLES <= early < len(group.counted) else None


def _what_it_is(n: int, first_stage: int | None) -> str | None:
    if n == 2:
        return "range of two cycles"
    return None if first_stage is None else f"by the spread of the first {first_stage} cycles, which set their number"


def _absolute(
    value: float, repeatability: Interval | None, quantities: Sequence[Quantity], group: Group, first_stage: int | None
) -> Interval | None:
    """Everything: of a model the hull of its bounds; of a meter the spread over cycles and what is common to all of them.

    The sensor's gain, a drift that every cycle has, and another meter that disagrees do not become smaller with more cycles.
    """
    bounds = [quantity.absolute_95 for quantity in quantities if quantity.absolute_95 is not None]
    if repeatability is None or len(bounds) < len(quantities):
        return None
    if quantities[0].estimated:
        return Interval(low=min(bound.low for bound in bounds), high=max(bound.high for bound in bounds))
    if len(quantities) < MINIMUM_CYCLES:  # a range is no interval
        return None
    freedom = (first_stage or len(quantities)) - 1
    spread = Term("s_cycles", _half(repeatability) / value / t_975(freedom), "A", freedom)
    return absolute(value, (spread, *_common(group, quantities)))


def _common(group: Group, quantities: Sequence[Quantity]) -> tuple[Term, ...]:
    """The largest of each term that the cycles share."""
    found: dict[str, float] = {}
    for result, quantity in zip(group.counted, quantities, strict=True):
        lines = {line.term: line.relative for line in result.uncertainty_budget if line.term in _COMMON}
        # Results of before lines said what they are part of: gain is what the absolute interval holds beyond the other.
        for name, relative in (lines or {"u_gain": _gain(quantity)}).items():
            found[name] = max(found.get(name, 0.0), relative)
    return tuple(Term(name, relative) for name, relative in found.items())


def _gain(quantity: Quantity) -> float:
    assert quantity.value is not None and quantity.absolute_95 is not None
    own = _half(quantity.repeatability_95) if quantity.repeatability_95 is not None else 0.0
    return math.sqrt(max(_half(quantity.absolute_95) ** 2 - own**2, 0.0)) / quantity.value / Z_975


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
