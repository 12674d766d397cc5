"""How long a trial will take and how many joules: from an earlier trial like it, else guessed and called so. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llenergymeasure.model.job import Protocol
from llenergymeasure.model.machine import Architecture

# What a trial takes beside loading and its protocol: processes starting and ending, analysis.
_FIXED_S = 1.5

# Power that is read is steady after two blocks of 5 s at the soonest.
_POWER_S = 11.0

# A trial is given up after this many times the warm-up and window that are forecast, and not sooner than this.
_PATIENCE, _LEAST_LIMIT_S = 5.0, 600.0

# For a guess: the share of an accelerator's peaks that decoding reaches; what it reaches on a logical CPU; reading a file.
_REACHED = 0.5
_CPU_BYTES_PER_S, _CPU_FLOPS_PER_S = 3.5e9, 5e10
_LOAD_BYTES_PER_S, _ENGINE_START_S = 5e8, 3.0


@dataclass(frozen=True, slots=True)
class EarlierTrial:
    """What a valid trial of an earlier study gave. ``None`` is what it did not."""

    study: str
    model: str
    backend: str
    precision: str
    concurrency: int
    tokens_per_second: float
    mean_power_w: float | None
    power_estimated: bool
    load_s: float | None


@dataclass(frozen=True, slots=True)
class Device:
    """What a guess needs to know of a device: its name, and what decoding reaches on it; ``None`` where nobody knows."""

    name: str
    bytes_per_s: float | None
    flops_per_s: float | None


@dataclass(frozen=True, slots=True)
class Work:
    """A trial as far as its time depends on it. ``model`` is the name as configured; tokens are of one request, on average.

    ``weight_bytes`` are those held, ``kv_bytes`` those of the cache of all sequences that run together.
    """

    model: str
    backend: str
    precision: str
    concurrency: int
    n: int
    input_tokens: float
    output_tokens: float
    protocol: Protocol
    cold_start: bool = False
    architecture: Architecture | None = None
    weight_bytes: int | None = None
    kv_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TimeForecast:
    """Of one trial. ``basis`` says where it comes from, or why there is none; ``joules_reason`` why there are no joules."""

    seconds: float | None
    joules: float | None
    basis: str
    guessed: bool
    joules_reason: str = ""


def forecast_time(work: Work, earlier: Sequence[EarlierTrial], device: Device) -> TimeForecast:
    """The time of one trial, its pauses left out; and its energy where power was read in an earlier one like it."""
    like = nearest(work, earlier)
    if like is None:
        return _guess(work, device)
    seconds = _working_s(work, like.tokens_per_second, like.load_s or _ENGINE_START_S)
    basis = f"{like.study}: {like.tokens_per_second:.3g} tokens/s, {like.precision.replace('_', ' ')}"
    basis += f" / {like.concurrency} parallel"
    if like.mean_power_w is None:
        return TimeForecast(_whole_s(work, seconds), None, basis, False, "no power was read in the trial it goes by")
    kind = " W estimated" if like.power_estimated else " W"
    return TimeForecast(
        _whole_s(work, seconds), like.mean_power_w * seconds, f"{basis}, {like.mean_power_w:.3g}{kind}", False
    )


def nearest(work: Work, earlier: Sequence[EarlierTrial]) -> EarlierTrial | None:
    """The trial of the same model and engine whose precision and concurrency come closest; of equals the first."""
    alike = [trial for trial in earlier if (trial.model, trial.backend) == (work.model, work.backend)]
    return min(alike, key=lambda trial: _distance(work, trial), default=None)


def time_limit_s(work: Work, earlier: Sequence[EarlierTrial]) -> float | None:
    """Seconds after loading when a trial is given up; ``None`` where no earlier trial tells how long it may take.

    That is one of the same model, engine and precision with no more requests at a time: from one with more nothing follows, since
    few requests may be slower by any factor. A guess sets no limit. What the protocol allows by itself is always allowed.
    """
    like = nearest(
        work, [one for one in earlier if one.precision == work.precision and one.concurrency <= work.concurrency]
    )
    if like is None:
        return None
    protocol = work.protocol
    pass_s, batch_s = _pass_and_batch_s(work, like.tokens_per_second)
    window_s = _PATIENCE * _window_s(protocol, pass_s, batch_s)
    longest_warmup_s = protocol.warmup.max_seconds if protocol.warmup.strategy == "steady" else 0.0
    warmup_s = max(_PATIENCE * _warmup_s(protocol, batch_s), longest_warmup_s)
    return protocol.idle_loaded_seconds + protocol.quiet_seconds + max(_LEAST_LIMIT_S, warmup_s + window_s)


def _distance(work: Work, trial: EarlierTrial) -> tuple[bool, float]:
    return trial.precision != work.precision, abs(math.log2(trial.concurrency / work.concurrency))


def _guess(work: Work, device: Device) -> TimeForecast:
    """Each step reads all weights and the cache once and multiplies by each active weight; the slower of the two counts."""
    no_joules = "there is no earlier trial of this model and engine whose power was read"
    reason = _why_no_guess(work, device)
    if reason:
        return TimeForecast(
            None, None, f"no basis: no earlier trial of this model and engine, and {reason}", True, no_joules
        )
    assert work.architecture is not None and work.weight_bytes is not None
    assert device.bytes_per_s is not None and device.flops_per_s is not None
    together = min(work.concurrency, work.n)
    reading_s = (work.weight_bytes + work.kv_bytes) / device.bytes_per_s
    flops_a_token = 2.0 * work.architecture.active_parameters
    computing_s = together * flops_a_token / device.flops_per_s
    prefill_s = together * work.input_tokens * flops_a_token / device.flops_per_s
    tokens_per_second = together * work.output_tokens / (prefill_s + work.output_tokens * max(reading_s, computing_s))
    seconds = _working_s(work, tokens_per_second, _ENGINE_START_S + work.weight_bytes / _LOAD_BYTES_PER_S)
    basis = f"a guess from bandwidth and arithmetic of {device.name}: no earlier trial of this model and engine"
    return TimeForecast(_whole_s(work, seconds), None, basis, True, no_joules)


def _why_no_guess(work: Work, device: Device) -> str:
    if work.architecture is None or work.weight_bytes is None:
        return "the model is not known here"
    if not device.bytes_per_s or not device.flops_per_s:
        return f"what {device.name} can do is not known"
    return ""


def cpu(name: str, logical_cpus: int) -> Device:
    """A CPU, by what a logical one of any make reaches."""
    return Device(name, logical_cpus * _CPU_BYTES_PER_S, logical_cpus * _CPU_FLOPS_PER_S)


def accelerator(name: str, bytes_per_s: float | None, flops_per_s: float | None) -> Device:
    """An accelerator, by its peaks."""
    reached = [None if peak is None else _REACHED * peak for peak in (bytes_per_s, flops_per_s)]
    return Device(name, *reached)


def _working_s(work: Work, tokens_per_second: float, load_s: float) -> float:
    """Loading, warm-up and window: while something is computed."""
    if work.cold_start:
        return load_s + work.output_tokens / tokens_per_second
    pass_s, batch_s = _pass_and_batch_s(work, tokens_per_second)
    return load_s + _warmup_s(work.protocol, batch_s) + _window_s(work.protocol, pass_s, batch_s)


def _pass_and_batch_s(work: Work, tokens_per_second: float) -> tuple[float, float]:
    a_request = work.output_tokens / tokens_per_second
    return work.n * a_request, min(work.n, work.concurrency) * a_request


def _warmup_s(protocol: Protocol, batch_s: float) -> float:
    """As many batches as there are at least; none begins after the limit."""
    if protocol.warmup.strategy == "none":
        return 0.0
    least_s = protocol.warmup.n_warmup * batch_s
    if protocol.warmup.power_drift is not None:
        least_s = max(least_s, _POWER_S)
    return min(least_s, protocol.warmup.max_seconds + batch_s)


def _window_s(protocol: Protocol, pass_s: float, batch_s: float) -> float:
    """Whole passes until it is long enough; no batch begins after the limit."""
    window_s = max(1, math.ceil(protocol.window.min_seconds / pass_s)) * pass_s
    longest_s = protocol.window.max_seconds
    return window_s if longest_s is None else min(window_s, longest_s + batch_s)


def _whole_s(work: Work, working_s: float) -> float:
    protocol = work.protocol
    return working_s + protocol.idle_seconds + protocol.idle_loaded_seconds + protocol.quiet_seconds + _FIXED_S
