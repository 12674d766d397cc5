"""Whole, valid facts and results for tests; each argument replaces one piece."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from llenergymeasure.model.event import ClockTriple, MemoryFacts, SessionFacts, WarmupDone, WindowDone
from llenergymeasure.model.inputs import Inputs, InputsDescription, ids_sha256, pack_ids
from llenergymeasure.model.job import (
    BackendChoice,
    Decoder,
    Identity,
    Limits,
    Metering,
    ModelRef,
    Protocol,
    TrialJob,
)
from llenergymeasure.model.machine import Interpreter, Machine, ProcessIdentity
from llenergymeasure.model.mark import Mark, Phase
from llenergymeasure.model.reading import Reading, Readings
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.schema.energy import EnergyGroup
from llenergymeasure.schema.environment import EnvironmentGroup
from llenergymeasure.schema.experiment import ExperimentResult, MethodGroup
from llenergymeasure.schema.performance import (
    ComputeGroup,
    FlopsGroup,
    LatencyGroup,
    MemoryGroup,
    PerRequest,
    Spread,
    TokenGroup,
)
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.schema.validity import Validity, remark
from llenergymeasure.units import NS_PER_S, s_to_ns

STARTED_AT = datetime(2026, 11, 23, 14, 30, 5, tzinfo=UTC)


def process_identity(**changes: Any) -> ProcessIdentity:
    """A process of this boot."""
    fields: dict[str, Any] = {
        "protocol_version": 1,
        "pid": 100,
        "pid_namespace": 1,
        "boot_id": "boot",
        "time_namespace": 2,
        "python_version": "3.11.7",
    }
    return ProcessIdentity(**fields | changes)


def machine(**changes: Any) -> Machine:
    """A small Linux machine without a GPU."""
    fields: dict[str, Any] = {
        "os": "Linux",
        "kernel": "6.1",
        "architecture": "x86_64",
        "cpu_model": "a CPU",
        "logical_cpus": 2,
        "visible_cpus": 2,
        "memory_bytes": 2**34,
        "cpu_governor": "performance",
        "power_source": None,
    }
    return Machine(**fields | changes)


def trial_job(
    *,
    options: Mapping[str, Any] | None = None,
    inputs: str = "inputs",
    n: int = 4,
    cycle: int = 0,
    max_new_tokens: int = 8,
    protocol: Protocol | None = None,
    **changes: Any,
) -> TrialJob:
    """A trial of the simulated backend."""
    fields: dict[str, Any] = {
        "identity": Identity(
            experiment_id="study/001",
            trial=1,
            cycle=cycle,
            attempt=1,
            measurement_config_hash="d7e4c1" + "0" * 58,
            study_design_hash=None,
            environment=None,
            config={"model": "m", "backend": "simulated"},
            llenergymeasure_version="0",
        ),
        "backend": BackendChoice("simulated", options or {}),
        "model": ModelRef("m", "/nowhere", "directory"),
        "precision": "as_stored",
        "device": "cpu",
        "seed": 42,
        "decoder": Decoder(max_new_tokens=max_new_tokens),
        "inputs": inputs,
        "n": n,
        "protocol": protocol or Protocol(),
        "metering": Metering(),
        "limits": Limits(),
    }
    return TrialJob(**fields | changes)


def prepared_inputs(
    lengths: Sequence[int] = (3, 5, 2, 4), *, n: int | None = None, limits: Sequence[int | None] | None = None
) -> Inputs:
    """Prompts of these lengths with ids all their own; the first ``n`` (all) are the window's."""
    ids = tuple(tuple(range(100 * row + 1, 100 * row + 1 + length)) for row, length in enumerate(lengths))
    description = InputsDescription(
        sha256=ids_sha256(pack_ids(ids), tuple(lengths)),
        n=len(lengths) if n is None else n,
        lengths=tuple(lengths),
        max_new_tokens=tuple(limits or [None] * len(lengths)),
        truncated=0,
        tokenizer_sha256="t" * 64,
        tokenizer_backend="simulated",
        dataset="mixed",
        dataset_sha256="d" * 64,
    )
    return Inputs(description, ids)


def session_facts(**changes: Any) -> SessionFacts:
    """A session of the simulated engine."""
    fields: dict[str, Any] = {
        "engine": "simulated",
        "engine_version": "0",
        "batching": "engine",
        "device": "cpu",
        "device_ids": ("cpu",),
        "precision": "as_stored",
    }
    return SessionFacts(**fields | changes)


def request_record(
    sequence: int = 0,
    *,
    input_tokens: int = 4,
    output_tokens: int = 8,
    submitted_ns: int = 0,
    first_token_ns: int = 10_000_000,
    step_ns: int = 1_000_000,
    observed: bool = True,
    **changes: Any,
) -> RequestRecord:
    """A request whose tokens appear every ``step_ns``."""
    times = [first_token_ns + index * step_ns for index in range(output_tokens)]
    fields: dict[str, Any] = {
        "sequence": sequence,
        "prompt": sequence,
        "batch": 0,
        "input_ids": array("i", range(1, input_tokens + 1)),
        "output_ids": array("i", range(1, output_tokens + 1)),
        "submitted_ns": submitted_ns,
        "finished_ns": times[-1] if times else submitted_ns,
        "token_t_ns": array("q", times if observed else []),
    }
    return RequestRecord(**fields | changes)


def marks(*phases: tuple[Phase, float, float]) -> tuple[Mark, ...]:
    """Both edges of each (phase, begin, end), in seconds."""
    edges = [(Mark(phase, "begin", s_to_ns(begin)), Mark(phase, "end", s_to_ns(end))) for phase, begin, end in phases]
    return tuple(mark for pair in edges for mark in pair)


def trace_head(**changes: Any) -> TraceHead:
    """A trial with a load from 0 to 1 s, a steady warm-up to 2 s and a window from 2 to 14 s; no meter."""
    fields: dict[str, Any] = {
        "job": trial_job(),
        "started_at": STARTED_AT.isoformat(),
        "duration_s": 15.0,
        "worker": process_identity(),
        "meter": None,
        "machine": machine(),
        "interpreter": Interpreter("3.11.7", "CPython", {}),
        "inputs": prepared_inputs().description,
        "marks": marks(("load", 0, 1), ("warmup", 1, 2), ("window", 2, 14), ("close", 14, 15)),
        "session": session_facts(),
        "memory": MemoryFacts(None, None, 2**27),
        "warmup": WarmupDone(5, 1.0, True, 0.01, "pool"),
        "warmup_batch_s": (0.2,) * 5,
        "window": WindowDone(1, False, "length"),
        "channels": (),
        "verdicts": (),
        "clock": tuple(ClockTriple(t * NS_PER_S, t * NS_PER_S, t * NS_PER_S) for t in range(3)),
    }
    return TraceHead(**fields | changes)


def trace(requests: Sequence[RequestRecord] | None = None, readings: Sequence[Reading] = (), **changes: Any) -> Trace:
    """A trace with this head. Unless others are given, four requests with a token every 10 ms from 2.1 s to 13.1 s."""
    if requests is None:
        requests = [
            request_record(
                sequence, output_tokens=1100, submitted_ns=2 * NS_PER_S, first_token_ns=2_100_000_000, step_ns=10**7
            )
            for sequence in range(4)
        ]
    return Trace(trace_head(**changes), tuple(requests), Readings.of(readings))


def joules(value: float | None, unit: str = "J", *, estimated: bool = False, **changes: Any) -> Quantity:
    """A quantity of energy or power, or none."""
    if value is None:
        return missing(unit, "no energy source was read")
    return Quantity(value=value, unit=unit, estimated=estimated, grade="C" if estimated else "B", **changes)


def experiment_result(
    *,
    per_token_j: float | None = 0.05,
    rate: float | None = 100.0,
    cycle: int = 0,
    estimated: bool = False,
    remarks: Sequence[str] = (),
    **changes: Any,
) -> ExperimentResult:
    """A result over a window of 10 s whose headline agrees with itself."""
    window_s = 10.0
    output_tokens = 0 if rate is None else round(rate * window_s)
    total = None if per_token_j is None else per_token_j * output_tokens
    found = tuple(remark(code, "a test") for code in remarks)
    none = Spread(reason="not observed")
    fields: dict[str, Any] = {
        "experiment_id": f"study/{cycle}",
        "measurement_config_hash": "d7e4c1" + "0" * 58,
        "study_design_hash": None,
        "cycle": cycle,
        "attempt": 1,
        "environment_name": None,
        "config": {"model": "m", "backend": "simulated"},
        "llenergymeasure_version": "0",
        "started_at": STARTED_AT,
        "duration_s": 15.0,
        "energy_per_output_token_j": joules(per_token_j, "J/token", estimated=estimated),
        "energy_total_j": joules(total, estimated=estimated),
        "tokens_per_second": missing("tokens/s", "the window holds no output token")
        if rate is None
        else Quantity(value=rate, unit="tokens/s", interval_reason="window too short for a within-run interval"),
        "mean_power_w": joules(None if total is None else total / window_s, "W", estimated=estimated),
        "energy_scope": "package, estimated" if estimated else "gpu, metered",
        "energy": EnergyGroup(),
        "tokens": TokenGroup(
            input_tokens=100,
            output_tokens=output_tokens,
            requests=10,
            input_per_request=PerRequest(mean=10.0, minimum=10, p50=10.0, maximum=10),
            engine_output_tokens=None,
        ),
        "latency": LatencyGroup(
            ttft_ms=none, itl_ms=none, tpot_ms=none, e2e_ms=none, queue_ms=none, latency_method="batch_only"
        ),
        "compute": ComputeGroup(flops=FlopsGroup(reason="the model's architecture is not known")),
        "memory": MemoryGroup(
            weights_bytes=None,
            kv_bytes=None,
            device_allocated_peak_bytes=None,
            device_reserved_peak_bytes=None,
            process_peak_bytes=2**27,
        ),
        "method": MethodGroup(
            measurement_methodology="steady_state",
            window_s=window_s,
            passes=1,
            warmup_batches=5,
            warmup_s=1.0,
            warmup_steady=True,
            warmup_cv=0.01,
            warmup_prompts="pool",
            load_s=1.0,
        ),
        "uncertainty_budget": (),
        "validity": Validity(valid=all(entry.severity != "error" for entry in found), remarks=found),
        "environment": EnvironmentGroup(),
        "provenance": {"precision": "as_stored"},
        "reproducibility_notes": (),
    }
    return ExperimentResult(**fields | changes)
