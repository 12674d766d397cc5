"""One result as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llenergymeasure.schema.numbers import bounds, mebibytes, plus_minus, prefix_for, three_digits, with_unit
from llenergymeasure.schema.quantity import Quantity

if TYPE_CHECKING:
    from llenergymeasure.schema.experiment import ExperimentResult, Spread


def summary(result: ExperimentResult) -> Iterator[str]:
    """The lines that ``llem run`` ends with."""
    yield f"  Energy       {_energy(result)}"
    yield f"  Power        {_power(result)}"
    yield f"  Throughput   {_rate(result.tokens_per_second)}"
    latency = result.latency
    yield f"  Latency      TTFT {_spread(latency.ttft_ms)}    ITL {_spread(latency.itl_ms)}"
    tokens = result.tokens
    yield f"  Tokens       {tokens.output_tokens:,} out, {tokens.input_tokens:,} in, {tokens.requests:,} requests"
    yield f"  Memory       {mebibytes(result.memory.process_peak_bytes)} peak of the worker process"
    notes = ", ".join(remark.code for remark in result.validity.remarks)
    verdict = "yes" if result.validity.valid else "NO"
    yield f"  Valid        {verdict}{'; notes: ' + notes if notes else ''}"


def _energy(result: ExperimentResult) -> str:
    total, per_token = result.energy_total_j, result.energy_per_output_token_j
    if total.value is None or per_token.value is None:
        return f"–  not measured: {per_token.reason or total.reason}"
    interval = f"  {bounds(total.absolute_95)}" if total.absolute_95 else ""
    per = with_unit(per_token.value, "J/output token")
    if per_token.absolute_95:
        per += f"  {bounds(per_token.absolute_95, prefix_for(per_token.value)[0])}"
    return f"{three_digits(total.value)} J{interval}     {per}     {result.energy_scope}"


def _power(result: ExperimentResult) -> str:
    power = result.mean_power_w
    if power.value is None:
        return "–"
    return f"{three_digits(power.value)} W{'  ' + bounds(power.absolute_95) if power.absolute_95 else ''}"


def _rate(rate: Quantity) -> str:
    if rate.value is None:
        return f"–  {rate.reason}"
    if rate.repeatability_95 is None:
        return f"{three_digits(rate.value)} tokens/s  (single run, no interval: {rate.interval_reason})"
    return f"{plus_minus(rate.value, rate.repeatability_95)} tokens/s (single run)"


def _spread(spread: Spread) -> str:
    return f"– ({spread.reason})" if spread.p50 is None else f"{three_digits(spread.p50)} ms p50"
