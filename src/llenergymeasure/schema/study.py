"""``StudyResult``: what a study gave, over all its trials."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Quantity, Record

Verdict = Literal["better", "worse", "equivalent", "undecided"]


class Aggregate(Record):
    """One experiment over its cycles.

    ``verdict`` compares it with the best one: ``None`` for the best itself, and when it could not be compared: then
    ``verdict_reason`` says why.
    """

    label: str
    measurement_config_hash: str
    environment_name: str | None
    varied: Mapping[str, Any]
    n: int
    energy_per_output_token_j: Quantity
    tokens_per_second: Quantity
    mean_power_w: Quantity
    ttft_ms_p50: float | None
    memory_bytes: int | None
    remarks: tuple[str, ...]
    best: bool = False
    verdict: Verdict | None = None
    verdict_reason: str | None = None


class FailedTrial(Record):
    """A trial that failed or was interrupted."""

    trial: int
    label: str
    kind: str
    message: str
    hint: str = ""
    log_tail: str = ""
    folder: str
    config: Mapping[str, Any]


class SkippedPoint(Record):
    """A point that is not valid and never touched hardware."""

    label: str
    reason: str


class StudyResult(Record):
    """``study_summary.json``. ``results`` is in memory only; on disk each trial has its own."""

    schema_version: str = "2.0"
    study_id: str
    name: str
    study_design_hash: str
    started_at: datetime
    completed_at: datetime
    measurement_protocol: Mapping[str, Any]
    outcome: Literal["complete", "failed_trials", "limit", "interrupted"]
    planned: int
    ran: int
    merged: int
    failed: tuple[FailedTrial, ...] = ()
    skipped: tuple[SkippedPoint, ...] = ()
    ranked_by: str | None
    aggregates: tuple[Aggregate, ...] = ()
    result_files: tuple[str, ...] = ()
    results: tuple[ExperimentResult, ...] = ()
    folder: str | None = None

    @property
    def best(self) -> Aggregate | None:
        """The best experiment, or ``None`` when nothing valid ran."""
        return next((aggregate for aggregate in self.aggregates if aggregate.best), None)

    def to_dataframe(self) -> Any:
        """One flat row a completed trial: a pandas data frame, else a polars one, else a ``pyarrow.Table``: as installed."""
        from llenergymeasure.schema.columns import table

        rows = table(self.results)
        if find_spec("pandas") is not None:
            return rows.to_pandas()
        if find_spec("polars") is not None:
            return import_module("polars").from_arrow(rows)
        return rows

    def to_json(self) -> str:
        """``study_summary.json``: everything but the single results."""
        return self.model_dump_json(indent=1, exclude={"results", "folder"}) + "\n"
