"""Energy of prefill and decode from two experiments: one that stops at the first token, and one that goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from llenergymeasure.analyse.statistics import t_975
from llenergymeasure.analyse.study.aggregate import Group
from llenergymeasure.analyse.study.comparability import machine_of
from llenergymeasure.analyse.trial import divided
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Interval, Quantity, missing
from llenergymeasure.schema.study import PhaseSplit

# Each of the two needs a window that a sensor's edges say little about (measurement protocol, "Phases").
_LEAST_WINDOW_S = 10.0
_OPTION = ("decoder", "max_new_tokens")

Pair = tuple[ExperimentResult, ExperimentResult]


def phase_splits(groups: Sequence[Group]) -> tuple[PhaseSplit, ...]:
    """One split for each experiment beside which the same one with ``decoder.max_new_tokens: 1`` was run.

    Prefill is what a request of one token takes; decode is what the longer one takes beyond that, in the same cycle on the same
    board, so that what a cycle shares falls out.
    """
    return tuple(_splits(groups))


def _splits(groups: Sequence[Group]) -> Iterator[PhaseSplit]:
    short = {_apart(group): place for place, group in enumerate(groups) if group.results and _new_tokens(group) == 1}
    for place, group in enumerate(groups):
        if group.results and _new_tokens(group) != 1 and (first := short.get(_apart(group))) is not None:
            yield _split(first, place, groups[first], group)


def _new_tokens(group: Group) -> Any:
    decoder = group.results[0].config.get(_OPTION[0])
    return decoder.get(_OPTION[1]) if isinstance(decoder, Mapping) else None


def _apart(group: Group) -> str:
    """The configuration but for the output length, and where it ran."""
    first = group.results[0]
    decoder = first.config.get(_OPTION[0])
    rest = {key: value for key, value in decoder.items() if key != _OPTION[1]} if isinstance(decoder, Mapping) else {}
    config = {key: value for key, value in first.config.items() if key != _OPTION[0]}
    return json.dumps([config, rest, first.environment_name], sort_keys=True, default=str)


def _split(short: int, full: int, short_group: Group, full_group: Group) -> PhaseSplit:
    pairs = _pairs(short_group, full_group)
    prefill = _per_request([one for one, _ in pairs])
    decode = _decode(pairs)
    tokens = sum(result.tokens.output_tokens - result.tokens.requests for _, result in pairs)
    requests = sum(result.tokens.requests for _, result in pairs)
    return PhaseSplit(
        first_token=short,
        whole=full,
        n=len(pairs),
        prefill_j_per_request=prefill,
        decode_j_per_request=decode,
        decode_j_per_output_token=divided(decode, tokens / max(requests, 1), "J/token", "no token follows the first"),
    )


def _pairs(short: Group, full: Group) -> list[Pair]:
    """The cycles that both have, on one board."""
    by_block = {(result.cycle, machine_of(result)): result for result in short.counted}
    return [
        (by_block[block], result)
        for result in sorted(full.counted, key=lambda result: result.cycle)
        if (block := (result.cycle, machine_of(result))) in by_block
    ]


def _why_not(results: Sequence[ExperimentResult]) -> str:
    if not results:
        return "no cycle holds both runs"
    for result in results:
        if result.energy_total_j.value is None:
            return result.energy_total_j.reason or "not known"
        if result.method.window_s < 0.98 * _LEAST_WINDOW_S:
            return f"a window of {result.method.window_s:.3g} s is too short for this: raise window.min_seconds to 10"
        if any(remark.code == "partial_pass" for remark in result.validity.remarks):
            return "a pass was cut short, so the two runs did not have the same prompts"
    return ""


def _per_request(results: Sequence[ExperimentResult]) -> Quantity:
    why_not = _why_not(results)
    if why_not:
        return missing("J", why_not)
    energies_j = [_energy_j(result) for result in results]
    halves_j = [_half_j(result) for result in results]
    return _over_cycles(energies_j, halves_j[0], results[0].energy_total_j)


def _decode(pairs: Sequence[Pair]) -> Quantity:
    why_not = _why_not([result for pair in pairs for result in pair])
    if why_not:
        return missing("J", why_not)
    differences_j = [_energy_j(full) - _energy_j(short) for short, full in pairs]
    halves_j = _half_j(pairs[0][0]), _half_j(pairs[0][1])
    half_j = None if halves_j[0] is None or halves_j[1] is None else math.hypot(halves_j[0], halves_j[1])
    found = _over_cycles(differences_j, half_j, pairs[0][1].energy_total_j)
    if found.value is not None and found.value <= 0:
        bounds = found.repeatability_95
        within = f" ({bounds.low:.3g} … {bounds.high:.3g} J)" if bounds else ""
        return missing("J", f"not resolved: the difference of the two runs is {found.value:.3g} J{within} a request")
    return found


def _over_cycles(values: Sequence[float], half: float | None, like: Quantity) -> Quantity:
    """The mean with Student's t over cycles: a difference may be negative, so not on the log scale. The range for two."""
    mean = math.fsum(values) / len(values)
    reason = None
    if len(values) == 1:
        interval = None if half is None else Interval(low=mean - half, high=mean + half)
        reason = "an estimate has no repeatability of its own" if half is None else "one cycle: of the meter alone"
    elif len(values) == 2:
        interval, reason = Interval(low=min(values), high=max(values)), "range of two cycles"
    else:
        half = t_975(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        interval = Interval(low=mean - half, high=mean + half)
    return Quantity(
        value=mean,
        unit="J",
        repeatability_95=interval,
        n=len(values),
        grade=like.grade,
        estimated=like.estimated,
        interval_reason=reason,
    )


def _energy_j(result: ExperimentResult) -> float:
    assert result.energy_total_j.value is not None, "the caller has looked"
    return result.energy_total_j.value / result.tokens.requests


def _half_j(result: ExperimentResult) -> float | None:
    bounds = result.energy_total_j.repeatability_95
    return None if bounds is None else (bounds.high - bounds.low) / 2 / result.tokens.requests
