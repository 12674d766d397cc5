"""One result as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llenergymeasure.schema.numbers import (
    MISSING,
    bounds,
    counted,
    mebibytes,
    plus_minus,
    prefix_for,
    three_digits,
    with_unit,
)
from llenergymeasure.schema.quantity import Quantity

if TYPE_CHECKING:
    from llenergymeasure.schema.experiment import ExperimentResult, MethodGroup
    from llenergymeasure.schema.performance import MemoryGroup, Spread


def summary(result: ExperimentResult) -> Iterator[str]:
    """The lines that ``llem run`` ends with."""
    yield f"  Energy       {_energy(result)}"
    yield f"  Power        {_quantity(result.mean_power_w, 'W') if result.mean_power_w.value is not None else MISSING}"
    yield f"  Throughput   {_rate(result.tokens_per_second)}"
    yield from _published(result)
    if result.method.cold_start:
        yield f"  Cold start   {_cold_start(result.method)}"
    latency = result.latency
    yield f"  Latency      TTFT {_spread(latency.ttft_ms)}    ITL {_spread(latency.itl_ms)}"
    tokens = result.tokens
    yield f"  Tokens       {tokens.output_tokens:,} out, {tokens.input_tokens:,} in, {counted(tokens.requests, 'request')}"
    yield f"  Memory       {_memory(result.memory)}"
    notes = ", ".join(remark.code for remark in result.validity.remarks)
    verdict = "yes" if result.validity.valid else "NO"
    yield f"  Valid        {verdict}{'; notes: ' + notes if notes else ''}"


def _published(result: ExperimentResult) -> Iterator[str]:
    """How the result compares with what others published of the same model and boards."""
    for found in result.published:
        joules = with_unit(found.published_j_per_output_token, "J/output token")
        together = f"{found.requests_together:.0f} requests together"
        yield f"  Published    {joules} with {together}; this is {found.ratio:.2f} × that"
        yield f"               {found.conditions}"


def _energy(result: ExperimentResult) -> str:
    total, per_token = result.energy_total_j, result.energy_per_output_token_j
    if total.value is None or per_token.value is None:
        return f"{MISSING}  not measured: {per_token.reason or total.reason}"
    single = "" if total.repeatability_95 is None else " (single run)"
    return f"{_quantity(total, 'J')}     {_quantity(per_token, 'J/output token')}     {result.energy_scope}{single}"


def _quantity(quantity: Quantity, unit: str) -> str:
    """``53.4 ± 1.9 mJ``, its repeatability; of an estimate its bounds: ``68.0 mJ  (50 … 300)``; else the value alone."""
    assert quantity.value is not None
    scale, prefix = prefix_for(quantity.value)
    if quantity.repeatability_95 is not None:
        return f"{plus_minus(quantity.value, quantity.repeatability_95, scale)} {prefix}{unit}"
    shown = with_unit(quantity.value, unit)
    return shown if quantity.absolute_95 is None else f"{shown}  {bounds(quantity.absolute_95, scale)}"


def _rate(rate: Quantity) -> str:
    if rate.value is None:
        return f"{MISSING}  {rate.reason}"
    if rate.repeatability_95 is None:
        return f"{three_digits(rate.value)} tokens/s  (single run, no interval: {rate.interval_reason})"
    return f"{plus_minus(rate.value, rate.repeatability_95)} tokens/s (single run)"


def _spread(spread: Spread) -> str:
    return f"{MISSING} ({spread.reason})" if spread.p50 is None else f"{three_digits(spread.p50)} ms p50"


def _cold_start(method: MethodGroup) -> str:
    """What the window holds beside the request's own time, and whether the files had to be read."""
    parts = [f"loading {MISSING if method.load_s is None else three_digits(method.load_s)} s"]
    if method.first_token_s is not None:
        parts.append(f"first token after {three_digits(method.first_token_s)} s")
    if method.files_in_memory is not None:
        parts.append(f"{method.files_in_memory:.0%} of the model's files in memory before")
    return ", ".join(parts)


def _memory(memory: MemoryGroup) -> str:
    process = f"{mebibytes(memory.process_peak_bytes)} peak of the worker process"
    devices = memory.device_allocated_peak_bytes
    return process if devices is None else f"{mebibytes(devices)} peak allocated on the device, {process}"
