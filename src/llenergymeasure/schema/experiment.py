"""``ExperimentResult``: what is computed from one trace. Units are in the names; ``None`` is "not known", never 0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from llenergymeasure.errors import StoreError
from llenergymeasure.schema.quantity import Grade, Quantity, Record, missing
from llenergymeasure.schema.validity import Validity

SCHEMA_VERSION = "2.0"


class DomainEnergy(Record):
    """Energy of one domain of one device over the window, by one channel."""

    domain: str
    device: str
    source: str
    method: str
    grade: Grade
    estimated: bool
    gross_j: Quantity
    in_headline: bool


class EnergyGroup(Record):
    """Energy by device. ``bystanders`` were read and did not work; they are never summed."""

    domains: tuple[DomainEnergy, ...] = ()
    bystanders: tuple[DomainEnergy, ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()
    idle_power_w: float | None = None
    idle_loaded_power_w: float | None = None


class TokenGroup(Record):
    """Counts over the window, from ids. ``engine_output_tokens`` is the engine's own count where it gives one."""

    input_tokens: int
    output_tokens: int
    requests: int
    input_tokens_mean: float | None
    output_tokens_mean: float | None
    engine_output_tokens: int | None
    counting_method: str = "ids"


class Spread(Record):
    """How a latency is distributed over requests, in ms. p99 needs 1,000 values. ``None`` throughout when not observed."""

    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    n: int = 0
    reason: str | None = None


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


class MemoryGroup(Record):
    """Bytes. Allocated by the engine, reserved by its allocator, and the worker's resident peak."""

    weights_bytes: int | None
    kv_bytes: int | None
    device_allocated_peak_bytes: int | None
    device_reserved_peak_bytes: int | None
    process_peak_bytes: int | None


class DerivedGroup(Record):
    """The same energy in other terms. ``None`` where it is not known. ``energy_delay_product_js``: J × s a request."""

    energy_per_request_j: float | None = None
    energy_delay_product_js: float | None = None
    tokens_per_kwh: float | None = None


class CarbonGroup(Record):
    """Grams of CO2e of the window: energy × PUE × intensity. ``None`` with a reason without a source; never a default country."""

    co2_g: float | None = None
    co2_low_g: float | None = None
    co2_high_g: float | None = None
    carbon_intensity_gco2_kwh: float | None = None
    estimation_method: str | None = None
    source: str | None = None
    region: str | None = None
    year: int | None = None
    datacenter_pue: float | None = None
    reason: str | None = None


class CostGroup(Record):
    """Price of the window's electricity: energy × PUE × price. ``None`` with a reason without a price."""

    cost: float | None = None
    cost_per_million_output_tokens: float | None = None
    currency: str | None = None
    price_per_kwh: float | None = None
    reason: str | None = None


class MultiGpuGroup(Record):
    """Energy by GPU, when more than one worked."""

    num_gpus: int
    energy_per_gpu_j: Mapping[str, float]
    energy_total_j: float
    energy_per_output_token_j: float | None


class MethodGroup(Record):
    """How it was measured. ``warmup_excluded_samples``: requests of the warm-up, which no metric counts."""

    measurement_methodology: str
    window_s: float
    passes: int
    warmup_batches: int
    warmup_s: float
    warmup_steady: bool | None
    warmup_cv: float | None
    warmup_prompts: str
    load_s: float | None
    stopped_by: str = "length"
    warmup_excluded_samples: int | None = None


class ExperimentResult(Record):
    """The result of one trial. W = J/token × tokens/s holds exactly for its headline."""

    schema_version: str = SCHEMA_VERSION
    experiment_id: str
    measurement_config_hash: str
    study_design_hash: str | None
    cycle: int
    attempt: int
    environment_name: str | None
    config: Mapping[str, Any]
    llenergymeasure_version: str
    started_at: datetime
    duration_s: float

    energy_per_output_token_j: Quantity
    energy_total_j: Quantity
    energy_adjusted_j: Quantity = missing("J", "not computed by the version that wrote this")
    tokens_per_second: Quantity
    mean_power_w: Quantity
    energy_scope: str

    energy: EnergyGroup
    tokens: TokenGroup
    latency: LatencyGroup
    compute: FlopsGroup
    memory: MemoryGroup
    derived: DerivedGroup = DerivedGroup()
    carbon: CarbonGroup = CarbonGroup(reason="not computed by the version that wrote this")
    cost: CostGroup = CostGroup(reason="not computed by the version that wrote this")
    multi_gpu: MultiGpuGroup | None = None
    method: MethodGroup
    uncertainty_budget: tuple[Mapping[str, Any], ...]
    validity: Validity
    environment: Mapping[str, Any]
    provenance: Mapping[str, Any]
    reproducibility_notes: tuple[str, ...]

    def to_json(self, path: str | Path | None = None) -> str:
        """The result as JSON text, also written to ``path`` when one is given."""
        text = self.model_dump_json(indent=1) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, path: str | Path) -> ExperimentResult:
        """Load a result. Raises ``StoreError`` for a file that is not one; a newer minor version loads with its fields kept."""
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
            version = str(value.get("schema_version", SCHEMA_VERSION)) if isinstance(value, dict) else SCHEMA_VERSION
            if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
                raise StoreError(
                    f"{path}: schema {version}, this program reads {SCHEMA_VERSION}",
                    hint="use a newer llenergymeasure",
                )
            return cls.model_validate(value)
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: not a result: {error}") from error

    def summary(self) -> str:
        """The result as a person reads it."""
        from llenergymeasure.schema.summary import summary

        return "\n".join(summary(self))
