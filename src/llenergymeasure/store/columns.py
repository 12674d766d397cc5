"""The tables of a study: ``results.parquet`` and ``results.csv``, one flat row a completed trial."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from llenergymeasure.schema.columns import COLUMNS, row, table
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.store.atomic import replacing


def write_tables(folder: Path, results: Sequence[ExperimentResult]) -> None:
    """Write both files. Raises ``StoreError``."""
    with replacing(folder / "results.parquet") as draft:
        pq.write_table(table(results), draft)
    with replacing(folder / "results.csv") as draft, open(draft, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [column.name for column in COLUMNS])
        writer.writeheader()
        writer.writerows(row(result) for result in results)
