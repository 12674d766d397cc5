from __future__ import annotations

import csv
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.store.columns import write_tables
from llenergymeasure.testing.builders import experiment_result, joules


def test_one_row_a_result(tmp_path: Path) -> None:
    """Both tables hold the headline of every result."""
    bounded = joules(0.05, "J/token", absolute_95={"low": 0.04, "high": 0.06})
    write_tables(
        tmp_path,
        [
            experiment_result(cycle=0, energy_per_output_token_j=bounded, remarks=("preliminary", "simulated")),
            experiment_result(cycle=1, per_token_j=None, remarks=("physics",)),
        ],
    )
    metered, missing = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert metered["energy_per_output_token_j"] == 0.05
    assert (metered["energy_per_output_token_low_j"], metered["energy_per_output_token_high_j"]) == (0.04, 0.06)
    assert (metered["backend"], metered["precision"], metered["output_tokens"]) == ("simulated", "as_stored", 1000)
    assert (metered["valid"], metered["remarks"]) == (True, "preliminary simulated")
    assert (missing["energy_per_output_token_j"], missing["energy_total_j"], missing["valid"]) == (None, None, False)
    with open(tmp_path / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["energy_per_output_token_j"] for row in rows] == ["0.05", ""]
    assert list(rows[0]) == pq.read_schema(tmp_path / "results.parquet").names


def test_no_result_gives_tables_without_rows(tmp_path: Path) -> None:
    """A study that failed whole still has tables, with their columns."""
    write_tables(tmp_path, [])
    assert pq.read_table(tmp_path / "results.parquet").num_rows == 0
    assert sorted(os.listdir(tmp_path)) == ["results.csv", "results.parquet"]


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Tables that cannot be written are a ``StoreError``."""
    with pytest.raises(StoreError, match=r"results\.parquet: cannot be written"):
        write_tables(tmp_path / "gone", [experiment_result()])
