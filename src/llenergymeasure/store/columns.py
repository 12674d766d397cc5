"""One flat row a completed trial: ``results.parquet`` and ``results.csv``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.atomic import replacing

_SCHEMA = pa.schema(
    [
        ("experiment_id", pa.string()),
        ("measurement_config_hash", pa.string()),
        ("cycle", pa.int64()),
        ("model", pa.string()),
        ("backend", pa.string()),
        ("precision", pa.string()),
        ("energy_per_output_token_j", pa.float64()),
        ("energy_per_output_token_low_j", pa.float64()),
        ("energy_per_output_token_high_j", pa.float64()),
        ("energy_total_j", pa.float64()),
        ("energy_scope", pa.string()),
        ("energy_grade", pa.string()),
        ("energy_estimated", pa.bool_()),
        ("mean_power_w", pa.float64()),
        ("tokens_per_second", pa.float64()),
        ("output_tokens", pa.int64()),
        ("input_tokens", pa.int64()),
        ("requests", pa.int64()),
        ("window_s", pa.float64()),
        ("ttft_ms_p50", pa.float64()),
        ("itl_ms_p50", pa.float64()),
        ("process_peak_bytes", pa.int64()),
        ("valid", pa.bool_()),
        ("remarks", pa.string()),
    ]
)


def write_tables(folder: Path, results: Sequence[ExperimentResult]) -> None:
    """Write both files. Raises ``StoreError``."""
    rows = [_row(result) for result in results]
    with replacing(folder / "results.parquet") as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), draft)
    with replacing(folder / "results.csv") as draft, open(draft, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _SCHEMA.names)
        writer.writeheader()
        writer.writerows(rows)


def _row(result: ExperimentResult) -> dict[str, Any]:
    energy = result.energy_per_output_token_j
    bounds = energy.absolute_95
    return {
        "experiment_id": result.experiment_id,
        "measurement_config_hash": result.measurement_config_hash,
        "cycle": result.cycle,
        "model": result.config.get("model"),
        "backend": result.config.get("backend"),
        "precision": result.provenance.get("precision"),
        "energy_per_output_token_j": energy.value,
        "energy_per_output_token_low_j": bounds.low if bounds else None,
        "energy_per_output_token_high_j": bounds.high if bounds else None,
        "energy_total_j": result.energy_total_j.value,
        "energy_scope": result.energy_scope,
        "energy_grade": energy.grade,
        "energy_estimated": energy.estimated,
        "mean_power_w": result.mean_power_w.value,
        "tokens_per_second": result.tokens_per_second.value,
        "output_tokens": result.tokens.output_tokens,
        "input_tokens": result.tokens.input_tokens,
        "requests": result.tokens.requests,
        "window_s": result.method.window_s,
        "ttft_ms_p50": result.latency.ttft_ms.p50,
        "itl_ms_p50": result.latency.itl_ms.p50,
        "process_peak_bytes": result.memory.process_peak_bytes,
        "valid": result.validity.valid,
        "remarks": " ".join(remark.code for remark in result.validity.remarks),
    }
