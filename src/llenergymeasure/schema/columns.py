"""One flat row a result: the columns of ``results.parquet``, ``results.csv`` and data frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llenergymeasure.schema.quantity import Quantity

if TYPE_CHECKING:
    from llenergymeasure.schema.experiment import ExperimentResult


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its unit is in its name, an empty cell is "not known"."""

    name: str
    kind: Literal["text", "integer", "number", "flag"]
    meaning: str
    of: Callable[[ExperimentResult], Any]


def _low(quantity: Quantity) -> float | None:
    return None if quantity.absolute_95 is None else quantity.absolute_95.low


def _high(quantity: Quantity) -> float | None:
    return None if quantity.absolute_95 is None else quantity.absolute_95.high


COLUMNS = (
    Column("experiment_id", "text", "study folder / trial folder", lambda r: r.experiment_id),
    Column("measurement_config_hash", "text", "equal for what was measured alike", lambda r: r.measurement_config_hash),
    Column("cycle", "integer", "which repetition, from 0", lambda r: r.cycle),
    Column("model", "text", "as configured", lambda r: r.config.get("model")),
    Column("backend", "text", "as configured", lambda r: r.config.get("backend")),
    Column("precision", "text", "as resolved", lambda r: r.provenance.get("precision")),
    Column("energy_per_output_token_j", "number", "gross", lambda r: r.energy_per_output_token_j.value),
    Column(
        "energy_per_output_token_low_j",
        "number",
        "lower end of its absolute 95 % interval",
        lambda r: _low(r.energy_per_output_token_j),
    ),
    Column("energy_per_output_token_high_j", "number", "the upper end", lambda r: _high(r.energy_per_output_token_j)),
    Column("energy_total_j", "number", "gross, of the window", lambda r: r.energy_total_j.value),
    Column("energy_net_j", "number", "gross less idle over the same time", lambda r: r.energy_adjusted_j.value),
    Column("load_energy_j", "number", "of opening the model", lambda r: r.energy.load_energy_j.value),
    Column("energy_scope", "text", "what is covered, metered or estimated", lambda r: r.energy_scope),
    Column("energy_grade", "text", "A to D", lambda r: r.energy_per_output_token_j.grade),
    Column("energy_estimated", "flag", "from a model, not a meter", lambda r: r.energy_per_output_token_j.estimated),
    Column("mean_power_w", "number", "over the window", lambda r: r.mean_power_w.value),
    Column("co2_g", "number", "CO2e of the window", lambda r: r.carbon.co2_g),
    Column("tokens_per_second", "number", "output tokens", lambda r: r.tokens_per_second.value),
    Column("output_tokens", "integer", "of the window", lambda r: r.tokens.output_tokens),
    Column("input_tokens", "integer", "of the window", lambda r: r.tokens.input_tokens),
    Column("requests", "integer", "of the window", lambda r: r.tokens.requests),
    Column("window_s", "number", "its length", lambda r: r.method.window_s),
    Column("load_s", "number", "time of opening the model", lambda r: r.method.load_s),
    Column("ttft_ms_p50", "number", "time to the first token", lambda r: r.latency.ttft_ms.p50),
    Column("itl_ms_p50", "number", "between tokens", lambda r: r.latency.itl_ms.p50),
    Column("e2e_ms_p50", "number", "of a request", lambda r: r.latency.e2e_ms.p50),
    Column("flops_total", "number", "operations of the window", lambda r: r.compute.flops.total),
    Column("mfu", "number", "share of the peak arithmetic", lambda r: r.compute.mfu),
    Column("mbu", "number", "share of the memory bandwidth", lambda r: r.compute.mbu),
    Column("cpu_percent", "number", "of the CPUs that may be used", lambda r: r.utilisation.cpu_percent),
    Column("accelerator_percent", "number", "time with work on it", lambda r: r.utilisation.accelerator_percent),
    Column("process_peak_bytes", "integer", "resident in the worker", lambda r: r.memory.process_peak_bytes),
    Column(
        "device_allocated_peak_bytes",
        "integer",
        "by the engine on its devices",
        lambda r: r.memory.device_allocated_peak_bytes,
    ),
    Column("valid", "flag", "no remark is an error", lambda r: r.validity.valid),
    Column("remarks", "text", "validity codes", lambda r: " ".join(remark.code for remark in r.validity.remarks)),
)


def row(result: ExperimentResult) -> dict[str, Any]:
    """The cells of a result by column."""
    return {column.name: column.of(result) for column in COLUMNS}


def table(results: Sequence[ExperimentResult]) -> Any:
    """A ``pyarrow.Table`` with a row a result."""
    import pyarrow as pa

    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
    schema = pa.schema([(column.name, types[column.kind]) for column in COLUMNS])
    return pa.Table.from_pylist([row(result) for result in results], schema=schema)
