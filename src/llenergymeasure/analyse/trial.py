"""From a trace to a result. Pure: the same trace gives the same result, today or in a year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from llenergymeasure.analyse.compute import compute
from llenergymeasure.analyse.consequences import carbon, cost, derived
from llenergymeasure.analyse.contention import contention
from llenergymeasure.analyse.energy.group import energy_group, multi_gpu
from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.energy.rest import idle_term, net_energy, rest
from llenergymeasure.analyse.energy.within_run import budget, within_run
from llenergymeasure.analyse.latency import latencies
from llenergymeasure.analyse.notes import notes
from llenergymeasure.analyse.published import beside_published
from llenergymeasure.analyse.tokens import count_tokens, tokens_per_second, usual_step_s
from llenergymeasure.analyse.utilisation import memory, utilisation
from llenergymeasure.analyse.validity import judge
from llenergymeasure.data.device_peaks import DevicePeaks
from llenergymeasure.data.published import PublishedCurve
from llenergymeasure.errors import StoreError
from llenergymeasure.model.codec import encode
from llenergymeasure.model.job import Lora, ModelRef
from llenergymeasure.model.mark import Interval, interval_of
from llenergymeasure.model.trace import Trace, TraceHead
from llenergymeasure.schema.environment import EnvironmentGroup
from llenergymeasure.schema.experiment import ExperimentResult, MethodGroup, Span
from llenergymeasure.schema.quantity import Interval as Bounds
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.units import MS_PER_S, ns_to_s

_NO_PEAKS: Mapping[str, DevicePeaks] = MappingProxyType({})


def analyse(
    trace: Trace, peaks: Mapping[str, DevicePeaks] = _NO_PEAKS, published: Sequence[PublishedCurve] = ()
) -> ExperimentResult:
    """The result of a trace. Raises ``StoreError`` without a window.

    ``peaks`` is the table of what devices can do at most, ``published`` what others measured.
    """
    head, identity = trace.head, trace.head.job.identity
    window = interval_of(head.marks, "window")
    if window is None or window.duration_s <= 0:
        raise StoreError("the trace holds no window")
    tokens = count_tokens(trace.requests)
    energy = energy_of_window(trace, window, usual_step_s(trace.requests))
    within = within_run(trace, window, energy)
    per_token, terms = within.per_token(divided(energy.total_j, tokens.output_tokens, "J/token", "no output token"))
    rate = tokens_per_second(trace.requests, window)
    latency = latencies(trace.requests, static=head.session.batching == "static")
    power = within.per_second(divided(energy.total_j, window.duration_s, "W", "an empty window"))
    computed = compute(trace, window, latency.tpot_ms.mean, peaks)
    rests = {phase: rest(trace, phase) for phase in ("idle", "idle_loaded", "quiet")}
    baseline = rests["idle" if head.job.cold_start else "idle_loaded"]
    net_j = net_energy(energy.total_j, baseline.total, window, baseline.power_w.reason)
    idle = None if net_j.value is None else idle_term(energy.total_j.value or 0.0, baseline.total, window)
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
        energy_adjusted_j=net_j,
        tokens_per_second=rate,
        mean_power_w=power,
        energy_scope=energy.scope,
        energy=energy_group(trace, window, energy, within, rests, baseline),
        tokens=tokens,
        latency=latency,
        compute=computed,
        memory=memory(trace),
        utilisation=utilisation(trace, window),
        derived=derived(energy.total_j, tokens, _seconds(latency.e2e_ms.mean)),
        carbon=carbon(energy.total_j, head.job.site),
        cost=cost(energy.total_j, tokens, head.job.site),
        multi_gpu=multi_gpu(energy, per_token),
        published=beside_published(trace, energy, per_token, published),
        method=_method(trace, window),
        uncertainty_budget=budget(energy, terms, per_token, idle),
        validity=judge(trace, window, energy, (per_token, rate, power), computed),
        environment=_environment(trace),
        provenance=_provenance(trace),
        reproducibility_notes=tuple(notes(trace, energy)),
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


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / MS_PER_S


def _method(trace: Trace, window: Interval) -> MethodGroup:
    head, cache, cost = trace.head, trace.head.file_cache, trace.head.meter_cost
    load = interval_of(head.marks, "load")
    zero_ns = min(mark.t_ns for mark in head.marks)
    span = Span(begin_s=ns_to_s(window.begin_ns - zero_ns), end_s=ns_to_s(window.end_ns - zero_ns))
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
        steady_state_window=span if head.warmup.steady else None,
        windows=(span,),
        cold_start=head.job.cold_start,
        first_token_s=_first_token_s(trace, window) if head.job.cold_start else None,
        files_in_memory=None if cache is None else cache.resident_bytes / cache.total_bytes,
        meter_cpu=None if cost is None or cost.wall_s <= 0 else cost.cpu_s / cost.wall_s,
        contention=contention(trace, window),
    )


def _first_token_s(trace: Trace, window: Interval) -> float | None:
    seen = [token_ns for request in trace.requests if (token_ns := request.first_token_ns) is not None]
    return ns_to_s(min(seen) - window.begin_ns) if seen else None


def _environment(trace: Trace) -> EnvironmentGroup:
    head = trace.head
    return EnvironmentGroup.model_validate(
        {
            "machine": encode(head.machine),
            "interpreter": encode(head.interpreter),
            "engine": head.session.engine,
            "engine_version": head.session.engine_version,
            "runner": head.job.runner,
            "study_git": None if head.job.study_git is None else encode(head.job.study_git),
            "settings": [encode(setting) for setting in head.job.settings],
        }
    )


def _provenance(trace: Trace) -> dict[str, object]:
    """What was measured, as facts. Where a model lies says nothing to others; its name, revision and hash identify it."""
    job = trace.head.job
    return {
        "session": encode(trace.head.session),
        "model": _without_path(job.model),
        "draft_model": _without_path(job.draft_model),
        "lora": _without_path(job.lora),
        "precision": job.precision,
        "device": job.device,
        "seed": job.seed,
        "inputs": {
            key: value for key, value in encode(trace.head.inputs).items() if key not in ("lengths", "max_new_tokens")
        },
        "power": _power(trace.head),
        "protocol": encode(job.protocol),
        "metering": encode(job.metering),
    }


def _power(head: TraceHead) -> dict[str, object] | None:
    """Caps and clocks that were set for the trial: asked for, in force, and whether all was taken back."""
    if head.power_set is None:
        return None
    restored = head.power_restored is not None and not head.power_restored.problems
    return {**encode(head.power_set), "restored": restored}


def _without_path(reference: ModelRef | Lora | None) -> dict[str, object] | None:
    return None if reference is None else {key: value for key, value in encode(reference).items() if key != "path"}
