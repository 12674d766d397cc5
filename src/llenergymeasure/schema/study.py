"""``StudyResult``: what a study gave, over all its trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import PrivateAttr

from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.load import SCHEMA_VERSION, load
from llenergymeasure.schema.quantity import Quantity, Record
from llenergymeasure.schema.skipped import SkippedPoint as SkippedPoint

Verdict = Literal["better", "worse", "equivalent", "undecided"]
ComparisonMethod = Literal["paired", "unpaired"]
ComparabilityVerdict = Literal["comparable", "with caveats", "not comparable"]


class Aggregate(Record):
    """One experiment over its cycles.

    ``verdict`` compares it with the best one by what is ranked: ``None`` for the best itself, and when it could not be compared:
    then ``verdict_reason`` says why. ``ratio_to_best`` is this over the best with its 95 % interval for this comparison alone
    (the verdict takes all of them into account), by ``comparison_method``: paired over the cycles that both have, or unpaired.
    ``memory_bytes`` is what the worker process held at most, ``device_memory_bytes`` what the engine held on its devices.
    ``energy_per_k`` is the share of energy that a kelvin of start temperature costs, where the cycles of the study show it: it is
    taken out of the comparison (analysis of covariance), and the numbers of each experiment stay as they are.
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
    device_memory_bytes: int | None = None
    remarks: tuple[str, ...]
    best: bool = False
    verdict: Verdict | None = None
    verdict_reason: str | None = None
    comparison_method: ComparisonMethod | None = None
    ratio_to_best: Quantity | None = None
    energy_per_k: float | None = None


class Tier(Record):
    """Experiments that the data do not put in an order, as places in ``aggregates``, and how they compare with the first.

    The first tier holds the best; the next one the best of those that are worse, and so on.
    """

    best: int
    equivalent: tuple[int, ...] = ()
    undecided: tuple[int, ...] = ()


class Differing(Record):
    """A fact that is not the same for two results, with its values for both. ``grave``: numbers of such two mean other things."""

    field: str
    values: tuple[str, str]
    grave: bool = False


class Comparability(Record):
    """Whether any experiment of ``first`` can be compared with any of ``second`` (places in ``aggregates``), and what differs.

    What a study varies, and what follows from it, is no caveat. An experiment in both differs between its own cycles.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    verdict: ComparabilityVerdict
    differing: tuple[Differing, ...] = ()


class PhaseSplit(Record):
    """Energy of prefill and decode, from two experiments (places in ``aggregates``) that differ in their output length alone.

    ``first_token`` stops at one output token, ``whole`` goes on. Decode is their difference, over ``n`` cycles that both have;
    missing where it is not above 0.
    """

    first_token: int
    whole: int
    n: int
    prefill_j_per_request: Quantity
    decode_j_per_request: Quantity
    decode_j_per_output_token: Quantity


class UsedEnvironment(Record):
    """Where an engine of the study ran: a named environment, or the place of a backend.

    ``versions`` are those that its results name: more than one when the engine changed while the study was going on, none while
    nothing ran there.
    """

    name: str
    backend: str
    at: str
    engine: str | None = None
    versions: tuple[str, ...] = ()


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


class StudyResult(Record):
    """``study_summary.json``. On disk each trial has its own result; ``results`` reads them when they are not in memory.

    ``source_file`` is the name of the file that the study was read from; ``None`` for one made in Python or from flags alone.
    ``tiers`` ranks the experiments; ``comparability`` lists the pairs that are not simply comparable. Verdicts are about
    repeatability: what all trials share on this machine, the error of a sensor or of an estimate, is in none of them.
    """

    schema_version: str = SCHEMA_VERSION
    study_id: str
    name: str
    study_design_hash: str
    started_at: datetime
    completed_at: datetime
    measurement_protocol: Mapping[str, Any]
    source_file: str | None = None
    environments: tuple[UsedEnvironment, ...] = ()
    outcome: Literal["complete", "failed_trials", "limit", "interrupted"]
    planned: int
    ran: int
    merged: int
    failed: tuple[FailedTrial, ...] = ()
    skipped: tuple[SkippedPoint, ...] = ()
    ranked_by: str | None
    aggregates: tuple[Aggregate, ...] = ()
    tiers: tuple[Tier, ...] = ()
    comparability: tuple[Comparability, ...] = ()
    phases: tuple[PhaseSplit, ...] = ()
    result_files: tuple[str, ...] = ()
    folder: str | None = None
    _results: tuple[ExperimentResult, ...] | None = PrivateAttr(None)

    def __init__(self, *, results: Iterable[ExperimentResult] | None = None, **fields: Any) -> None:
        super().__init__(**fields)
        self._results = None if results is None else tuple(results)

    @property
    def results(self) -> tuple[ExperimentResult, ...]:
        """The result of each completed trial, read when first asked for. Raises ``StoreError`` when a file is gone."""
        if self._results is None:
            files = self.result_files if self.folder else ()
            self._results = tuple(ExperimentResult.from_json(Path(str(self.folder), name)) for name in files)
        return self._results

    @property
    def best(self) -> Aggregate | None:
        """The best experiment, or ``None`` when nothing valid ran."""
        return next((aggregate for aggregate in self.aggregates if aggregate.best), None)

    def summary(self) -> str:
        """The study as a person reads it: its table, which experiment is best, what was skipped and what failed."""
        from llenergymeasure.schema.study_table import study_lines

        return "\n".join(study_lines(self))

    def to_dataframe(self) -> Any:
        """One flat row a completed trial: a pandas data frame, else a polars one, else a ``pyarrow.Table``: as installed."""
        from llenergymeasure.schema.columns import table

        rows = table(self.results)
        if find_spec("pandas") is not None:
            return rows.to_pandas()
        if find_spec("polars") is not None:
            return import_module("polars").from_arrow(rows)
        return rows

    def to_json(self, path: str | Path | None = None) -> str:
        """The study as JSON text without the single results, also written to ``path`` when one is given."""
        text = self.model_dump_json(indent=1, exclude={"folder"}) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, path: str | Path) -> StudyResult:
        """Load a study from its folder or its ``study_summary.json``. Raises ``StoreError`` for a file that is not one."""
        path = Path(path)
        file = path / "study_summary.json" if path.is_dir() else path
        return load(cls, file, folder=str(file.parent))
