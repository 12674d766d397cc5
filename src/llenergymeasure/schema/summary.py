"""One result as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llenergymeasure.schema.numbers import (
    MISSING,
    bounds,
    counted,
    mebibytes,
    prefix_for,
    three_digits,
    with_uncertainty,
    with_unit,
)
from llenergymeasure.schema.quantity import Interval, Quantity

if TYPE_CHECKING:
    from llenergymeasure.schema.experiment import ExperimentResult, MethodGroup
    from llenergymeasure.schema.performance import MemoryGroup, Spread


def summary(result: ExperimentResult) -> Iterator[str]:
    """The lines that ``llem run`` ends with."""
    yield f"  Energy       {_energy(result)}"
    yield from _absolute(result)
    yield f"  Power        {with_uncertainty(result.mean_power_w, 'W')}"
    yield f"  Throughput   {_rate(result.tokens_per_second)}"
    yield from _published(result)
    if result.method.cold_start:
        yield f"  Cold start   {_cold_start(result.method)}"
    latency = result.latency
    yield f"  Latency      TTFT {_spread(latency.ttft_ms)}    ITL {_spread(latency.itl_ms)}"
    tokens = result.tokens
    yield f"  Tokens       {tokens.output_tokens:,} out, {tokens.input_tokens:,} in, {counted(tokens.requests, 'request')}"
    yield f"  Memory       {_memory(result.memory)}"
    yield from _witnesses(result)
    yield from _valid(result)


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
    energy = f"{with_uncertainty(total, 'J')}     {with_uncertainty(per_token, 'J/output token')}"
    return f"{energy}     {result.energy_scope}{single}"


def _absolute(result: ExperimentResult) -> Iterator[str]:
    """Of metered energy, how far it may be from the true joules: more than what repeats. An estimate has only its bounds."""
    total, per_token = result.energy_total_j, result.energy_per_output_token_j
    if total.value is None or total.estimated or total.absolute_95 is None:
        return
    a_token = (
        "" if per_token.absolute_95 is None else f"     {_ends(per_token, per_token.absolute_95, 'J/output token')}"
    )
    grade = "" if total.grade is None else f"; grade {total.grade}"
    yield f"  Absolute     {_ends(total, total.absolute_95, 'J')}{a_token}     with the sensor's own error{grade}"


def _ends(quantity: Quantity, interval: Interval, unit: str) -> str:
    assert quantity.value is not None
    scale, prefix = prefix_for(quantity.value)
    if interval.low <= 0:
        return f"(up to {with_unit(interval.high, unit)})"
    return f"{bounds(interval, scale)} {prefix}{unit}"


def _witnesses(result: ExperimentResult) -> Iterator[str]:
    """What tools beside ours say, which is of the whole trial: asked for, so shown; not ours, so apart."""
    for witness in result.energy.witnesses:
        if witness.energy_j is None:
            yield f"  Witness      {witness.source}: {MISSING}  {witness.reason}"
        else:
            joules = with_unit(witness.energy_j, "J")
            yield f"  Witness      {witness.source}: {joules} for the whole {witness.scope}, not the window"


def _valid(result: ExperimentResult) -> Iterator[str]:
    """The verdict with all codes; of those that put the numbers in doubt, what was seen and what helps."""
    remarks = result.validity.remarks
    notes = ", ".join(remark.code for remark in remarks)
    yield f"  Valid        {'yes' if result.validity.valid else 'NO'}{'; notes: ' + notes if notes else ''}"
    for remark in remarks:
        if remark.severity != "info":
            yield f"    {remark.code}: {remark.evidence}"
            yield f"      → {remark.remedy}"


def _rate(rate: Quantity) -> str:
    if rate.value is None:
        return f"{MISSING}  {rate.reason}"
    shown = with_uncertainty(rate, "tokens/s")
    if rate.repeatability_95 is None:
        return f"{shown}  (single run, no interval: {rate.interval_reason})"
    return f"{shown} (single run)"


def _spread(spread: Spread) -> str:
    return f"{MISSING} ({spread.reason})" if spread.p50 is None else f"{three_digits(spread.p50)} ms p50"


def _cold_start(method: MethodGroup) -> str:
    """What the window holds beside the request's own time, and whether the files had to be read."""
    parts = [f"loading {MISSING if method.load_s is None else three_digits(method.load_s)} s"]
    if method.first_token_s is not None:
        parts.append(f"first token after {three_digits(method.first_token_s)} s")
    if method.files_in_memory is not None:
        parts.append(f"{method.files_in_memory * 100:.0f} % of the model's files in memory before")
    return ", ".join(parts)


def _memory(memory: MemoryGroup) -> str:
    process = f"{mebibytes(memory.process_peak_bytes)} peak of the worker process"
    devices = memory.device_allocated_peak_bytes
    return process if devices is None else f"{mebibytes(devices)} peak allocated on the device, {process}"
