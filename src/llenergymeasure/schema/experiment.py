"""``ExperimentResult``: what is computed from one trace. Units are in the names; ``None`` is "not known", never 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from llenergymeasure.schema.contention import Contention
from llenergymeasure.schema.energy import CarbonGroup, CostGroup, DerivedGroup, EnergyGroup, MultiGpuGroup
from llenergymeasure.schema.environment import EnvironmentGroup
from llenergymeasure.schema.load import SCHEMA_VERSION, load
from llenergymeasure.schema.performance import ComputeGroup, LatencyGroup, MemoryGroup, TokenGroup, UtilisationGroup
from llenergymeasure.schema.published import PublishedBeside
from llenergymeasure.schema.quantity import Quantity, Record, missing
from llenergymeasure.schema.uncertainty import BudgetLine
from llenergymeasure.schema.validity import Validity


class Span(Record):
    """A piece of the trial in seconds since its first mark."""

    begin_s: float
    end_s: float


class MethodGroup(Record):
    """How it was measured. ``warmup_excluded_samples``: requests of the warm-up, which no metric counts.

    ``windows`` are the measured spans; ``steady_state_window`` is the part of them that follows a warm-up judged steady, ``None``
    when it was not, or could not be, judged so.

    Of a ``cold_start`` the window holds loading and one request; ``first_token_s`` is from its begin to the first token.
    ``files_in_memory`` is the share of the model's files that the operating system held in memory before they were loaded;
    ``meter_cpu`` the share of one core that the meter took. ``None`` is not known. ``contention`` says whether the devices that
    worked were the trial's alone.
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
    cold_start: bool = False
    first_token_s: float | None = None
    files_in_memory: float | None = None
    meter_cpu: float | None = None
    contention: Contention = Contention()


class ExperimentResult(Record):
    """The result of one trial. W = J/token × tokens/s holds exactly for its headline.

    ``published`` holds it against what others published of the same model on the same boards, where anything fits.
    """

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
    published: tuple[PublishedBeside, ...] = ()
    method: MethodGroup
    uncertainty_budget: tuple[BudgetLine, ...]
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
        return load(cls, Path(path))

    def summary(self) -> str:
        """The result as a person reads it."""
        from llenergymeasure.schema.summary import summary

        return "\n".join(summary(self))
