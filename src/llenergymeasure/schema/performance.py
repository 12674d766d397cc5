"""What was done and how fast: tokens, latency, arithmetic, memory, utilisation."""

from __future__ import annotations

from collections.abc import Mapping

from llenergymeasure.schema.quantity import Interval, Record


class PerRequest(Record):
    """How a count of tokens is distributed over requests. ``None`` without a request."""

    mean: float | None = None
    minimum: int | None = None
    p50: float | None = None
    maximum: int | None = None


class TokenGroup(Record):
    """Counts over the window, from ids. ``engine_output_tokens`` is the engine's own count where it gives one.

    ``mismatches`` counts requests for which the engine's own count differs, ``None`` when it counts none; ``finish_reasons`` the
    requests by how they ended. ``cached_input_tokens`` are those of the input that a prefix cache spared the engine, expected 0
    unless one is asked for; ``drafted_tokens`` and ``accepted_tokens`` those that speculation proposed and kept. ``None`` where
    the engine does not say.
    """

    input_tokens: int
    output_tokens: int
    requests: int
    input_per_request: PerRequest = PerRequest()
    output_per_request: PerRequest = PerRequest()
    engine_output_tokens: int | None = None
    counting_method: str = "ids"
    mismatches: int | None = None
    cached_input_tokens: int | None = None
    drafted_tokens: int | None = None
    accepted_tokens: int | None = None
    finish_reasons: Mapping[str, int] = {}


class Spread(Record):
    """How a latency is distributed over requests, in ms. p99 needs 1,000 values. ``None`` throughout when not observed.

    ``p50_95`` and so on are 95 % intervals between two of the values in order of size, whatever their distribution; ``None``
    where the values are too few for one, or not independent.
    """

    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    n: int = 0
    p50_95: Interval | None = None
    p90_95: Interval | None = None
    p95_95: Interval | None = None
    p99_95: Interval | None = None
    reason: str | None = None
    interval_reason: str | None = None


class LatencyGroup(Record):
    """Latencies in ms, and how they were obtained (``per_token``, ``per_request``, ``batch_only``)."""

    ttft_ms: Spread
    itl_ms: Spread
    tpot_ms: Spread
    e2e_ms: Spread
    queue_ms: Spread
    latency_method: str


class FlopsGroup(Record):
    """Arithmetic of the window, counted from the architecture. ``None`` with a reason when it is not known."""

    prefill: float | None = None
    decode: float | None = None
    total: float | None = None
    per_output_token: float | None = None
    method: str | None = None
    confidence: str | None = None
    reason: str | None = None


class ComputeGroup(Record):
    """Arithmetic, and how much of what the devices can do it uses; both shares are fractions.

    ``mfu`` is FLOPs over the window's time and the devices' peak for ``peak_type``. ``mbu`` is the bytes that a decoding step
    reads (weights, and the key-value cache of the sequences in it) over the time of a step and the devices' bandwidth.
    ``reasons`` says why a field is ``None``.
    """

    flops: FlopsGroup
    parameters_total: int | None = None
    parameters_active: int | None = None
    mfu: float | None = None
    mbu: float | None = None
    peak_flops_per_s: float | None = None
    peak_type: str | None = None
    peak_bytes_per_s: float | None = None
    peak_source: str | None = None
    reasons: Mapping[str, str] = {}


class MemoryGroup(Record):
    """Bytes.

    ``weights_bytes`` and ``kv_bytes`` are what the engine holds for them, ``kv_needed_bytes`` what the sequences of the window
    filled at most at one time. Peaks: allocated by the engine on its devices, reserved by its allocator, in use on the devices by
    anybody, and resident in the worker process. ``reasons`` says why a field is ``None``.
    """

    weights_bytes: int | None
    kv_bytes: int | None
    kv_needed_bytes: int | None = None
    device_allocated_peak_bytes: int | None
    device_reserved_peak_bytes: int | None
    device_peak_bytes: int | None = None
    process_peak_bytes: int | None
    reasons: Mapping[str, str] = {}


class UtilisationGroup(Record):
    """Means over the window in percent.

    ``accelerator_percent``: time in which a kernel ran, ``memory_bandwidth_percent``: time in which memory was read or written,
    both as the driver counts them and over the devices that worked; ``cpu_percent``: CPU time of the worker's processes over that
    of the CPUs they may use. ``*_clock_mhz`` are means over the devices that worked; ``throttled_s`` holds the seconds in which
    something held clocks down, by cause, of the device on which it was longest. ``reasons`` says why a field is ``None``.
    """

    accelerator_percent: float | None = None
    memory_bandwidth_percent: float | None = None
    cpu_percent: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    throttled_s: Mapping[str, float] | None = None
    reasons: Mapping[str, str] = {}
