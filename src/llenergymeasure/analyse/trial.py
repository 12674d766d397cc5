"""From a trace to a result. Pure: the same trace gives the same result, today or in a year."""

from __future__ import annotations

import math
from datetime import datetime

from llenergymeasure.analyse.consequences import carbon, cost, derived
from llenergymeasure.analyse.flops import flops
from llenergymeasure.analyse.headline import TrialEnergy, energy_of_window, power_of_phase
from llenergymeasure.analyse.latency import latencies
from llenergymeasure.analyse.net import net_energy
from llenergymeasure.analyse.tokens import count_tokens, tokens_per_second
from llenergymeasure.analyse.validity import judge
from llenergymeasure.errors import StoreError
from llenergymeasure.model.codec import encode
from llenergymeasure.model.mark import Interval, interval_of
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.experiment import (
    EnergyGroup,
    ExperimentResult,
    MemoryGroup,
    MethodGroup,
    MultiGpuGroup,
)
from llenergymeasure.schema.quantity import Interval as Bounds
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.units import MS_PER_S


def analyse(trace: Trace) -> ExperimentResult:
    """The result of a trace. Raises ``StoreError`` without a window."""
    head, identity = trace.head, trace.head.job.identity
    window = interval_of(head.marks, "window")
    if window is None or window.duration_s <= 0:
        raise StoreError("the trace holds no window")
    tokens = count_tokens(trace.requests)
    energy = energy_of_window(trace, window)
    per_token = divided(energy.total_j, tokens.output_tokens, "J/token", "no output token")
    rate = tokens_per_second(trace.requests, window)
    latency = latencies(trace.requests, static=head.session.batching == "static")
    power = divided(energy.total_j, window.duration_s, "W", "an empty window")
    return ExperimentResult(
        experiment_id=identity.experiment_id,
        measurement_config_hash=identity.measurement_config_hash,
        study_design_hash=identity.study_design_hash,
        cycle=identity.cycle,
        attempt=identity.attempt,
        environment_name=identity.environment,
        config=identity.config,
        llenergymeasure_version=identity.llenergymeasure_version,
        started_at=datetime.fromisoformat(head.started_at),
        duration_s=head.duration_s,
        energy_per_output_token_j=per_token,
        energy_total_j=energy.total_j,
        energy_adjusted_j=net_energy(
            energy.total_j, power_of_phase(trace, "idle" if head.job.cold_start else "idle_loaded"), window
        ),
        tokens_per_second=rate,
        mean_power_w=power,
        energy_scope=energy.scope,
        energy=_energy_group(trace, energy),
        tokens=tokens,
        latency=latency,
        compute=flops(head.job.model.architecture, trace.requests, reason=head.job.model.architecture_reason),
        memory=_memory(trace),
        derived=derived(energy.total_j, tokens, _seconds(latency.e2e_ms.mean)),
        carbon=carbon(energy.total_j, head.job.site),
        cost=cost(energy.total_j, tokens, head.job.site),
        multi_gpu=_multi_gpu(energy, per_token),
        method=_method(trace, window),
        uncertainty_budget=tuple({"term": term, "relative": value} for term, value in energy.budget),
        validity=judge(trace, window, energy, (per_token, rate, power)),
        environment={"machine": encode(head.machine), "interpreter": encode(head.interpreter)},
        provenance=_provenance(trace),
        reproducibility_notes=_notes(trace, energy),
    )


def divided(quantity: Quantity, by: float, unit: str, reason: str) -> Quantity:
    """A quantity over an exactly known number, intervals with it; missing stays missing with its reason."""
    if quantity.value is None:
        return missing(unit, quantity.reason or "not known")
    if by <= 0:
        return missing(unit, reason)

    def scaled(bounds: Bounds | None) -> Bounds | None:
        return None if bounds is None else Bounds(low=bounds.low / by, high=bounds.high / by)

    return quantity.model_copy(
        update={
            "value": quantity.value / by,
            "unit": unit,
            "repeatability_95": scaled(quantity.repeatability_95),
            "absolute_95": scaled(quantity.absolute_95),
        }
    )


def _energy_group(trace: Trace, energy: TrialEnergy) -> EnergyGroup:
    return EnergyGroup(
        domains=energy.parts,
        bystanders=energy.bystanders,
        sources=tuple(encode(verdict) for verdict in trace.head.verdicts),
        idle_power_w=power_of_phase(trace, "idle"),
        idle_loaded_power_w=power_of_phase(trace, "idle_loaded"),
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / MS_PER_S


def _multi_gpu(energy: TrialEnergy, per_token: Quantity) -> MultiGpuGroup | None:
    """Energy by GPU; ``None`` for one, or none."""
    by_gpu = {
        part.device: part.gross_j.value
        for part in energy.parts
        if part.domain in ("gpu", "module") and part.gross_j.value is not None
    }
    if len(by_gpu) < 2:
        return None
    return MultiGpuGroup(
        num_gpus=len(by_gpu),
        energy_per_gpu_j=by_gpu,
        energy_total_j=math.fsum(by_gpu.values()),
        energy_per_output_token_j=per_token.value,
    )


def _memory(trace: Trace) -> MemoryGroup:
    memory, session = trace.head.memory, trace.head.session
    return MemoryGroup(
        weights_bytes=session.weight_bytes,
        kv_bytes=session.kv_bytes,
        device_allocated_peak_bytes=memory.device_allocated_peak_bytes,
        device_reserved_peak_bytes=memory.device_reserved_peak_bytes,
        process_peak_bytes=memory.process_peak_bytes,
    )


def _method(trace: Trace, window: Interval) -> MethodGroup:
    head = trace.head
    load = interval_of(head.marks, "load")
    return MethodGroup(
        measurement_methodology="total" if head.warmup.batches == 0 else "steady_state",
        window_s=window.duration_s,
        passes=head.window.passes,
        warmup_batches=head.warmup.batches,
        warmup_s=head.warmup.seconds,
        warmup_steady=head.warmup.steady,
        warmup_cv=head.warmup.cv,
        warmup_prompts=head.warmup.prompts,
        load_s=None if load is None else load.duration_s,
        stopped_by=head.window.stopped_by,
        warmup_excluded_samples=min((request.sequence for request in trace.requests), default=None),
    )


def _provenance(trace: Trace) -> dict[str, object]:
    job = trace.head.job
    return {
        "engine": trace.head.session.engine,
        "engine_version": trace.head.session.engine_version,
        "session": encode(trace.head.session),
        "model": encode(job.model),
        "precision": job.precision,
        "device": job.device,
        "seed": job.seed,
        "runner": job.runner,
        "inputs": {
            key: value for key, value in encode(trace.head.inputs).items() if key not in ("lengths", "max_new_tokens")
        },
        "protocol": encode(job.protocol),
        "metering": encode(job.metering),
        "settings": [encode(setting) for setting in job.settings],
    }


def _notes(trace: Trace, energy: TrialEnergy) -> tuple[str, ...]:
    head = trace.head
    notes = [
        f"inputs are fixed: {head.inputs.dataset}, ids {head.inputs.sha256[:12]}",
        f"seed {head.job.seed}; {head.job.decoder.decoding_strategy} decoding",
    ]
    if energy.total_j.estimated:
        notes.append("joules are bounds from CPU time and a table of rated power; compare them on this machine only")
    if head.machine.cpu_governor is None:
        notes.append("the CPU's frequency governor could not be read; clocks were not controlled")
    return tuple(notes)
