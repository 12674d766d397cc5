"""``ExperimentResult``: what is computed from one trace. Units are in the names; ``None`` is "not known", never 0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from llenergymeasure.errors import StoreError
from llenergymeasure.schema.energy import CarbonGroup, CostGroup, DerivedGroup, EnergyGroup, MultiGpuGroup
from llenergymeasure.schema.environment import EnvironmentGroup
from llenergymeasure.schema.performance import ComputeGroup, LatencyGroup, MemoryGroup, TokenGroup, UtilisationGroup
from llenergymeasure.schema.quantity import Quantity, Record, missing
from llenergymeasure.schema.validity import Validity

SCHEMA_VERSION = "2.0"


class Span(Record):
    """A piece of the trial in seconds since its first mark."""

    begin_s: float
    end_s: float


class MethodGroup(Record):
    """How it was measured. ``warmup_excluded_samples``: requests of the warm-up, which no metric counts.

    ``windows`` are the measured spans; ``steady_state_window`` is the part of them that follows a warm-up judged steady, ``None``
    when it was not, or could not be, judged so.
    """

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
    steady_state_window: Span | None = None
    windows: tuple[Span, ...] = ()


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
    compute: ComputeGroup
    memory: MemoryGroup
    utilisation: UtilisationGroup = UtilisationGroup()
    derived: DerivedGroup = DerivedGroup()
    carbon: CarbonGroup = CarbonGroup(reason="not computed by the version that wrote this")
    cost: CostGroup = CostGroup(reason="not computed by the version that wrote this")
    multi_gpu: MultiGpuGroup | None = None
    method: MethodGroup
    uncertainty_budget: tuple[Mapping[str, Any], ...]
    validity: Validity
    environment: EnvironmentGroup
    provenance: Mapping[str, Any]
    reproducibility_notes: tuple[str, ...]

    def to_json(self, path: str | Path | None = None) -> str:
        """The result as JSON text, also written to ``path`` when one is given."""
        text = self.model_dump_json(indent=1) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_parquet(self, path: str | Path) -> None:
        """Write the result as a Parquet file of one flat row, with the columns of a study's ``results.parquet``."""
        import pyarrow.parquet as pq

        from llenergymeasure.schema.columns import table

        pq.write_table(table([self]), path)

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
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{path}: not a result: {error}") from error

    def summary(self) -> str:
        """The result as a person reads it."""
        from llenergymeasure.schema.summary import summary

        return "\n".join(summary(self))
