"""One flat row a result, wherever it goes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llenergymeasure.schema import study as study_module
from llenergymeasure.schema.columns import COLUMNS, row, table
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.testing.builders import experiment_result, joules


def _study() -> StudyResult:
    return StudyResult(
        study_id="s",
        name="s",
        study_design_hash="0" * 16,
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
        completed_at=datetime(2026, 11, 24, tzinfo=UTC),
        measurement_protocol={},
        outcome="complete",
        planned=2,
        ran=2,
        merged=0,
        ranked_by=None,
        results=(experiment_result(), experiment_result(cycle=1, per_token_j=None)),
    )


def test_a_row_holds_what_the_result_says() -> None:
    """A cell that is not known is empty, and every column has a meaning and a name of its own."""
    result = experiment_result(energy_adjusted_j=joules(3.0), remarks=("preliminary", "simulated"))
    cells = row(result)
    assert list(cells) == [column.name for column in COLUMNS] and len(set(cells)) == len(COLUMNS)
    assert (cells["energy_net_j"], cells["mfu"], cells["load_energy_j"]) == (3.0, None, None)
    assert (cells["remarks"], cells["valid"], cells["requests"]) == ("preliminary simulated", True, 10)
    assert all(column.meaning for column in COLUMNS)


def test_cells_have_the_type_of_their_column() -> None:
    """A table of results that know nothing has the same columns as one of results that know all."""
    nothing, all_known = table([]), table([experiment_result()])
    assert nothing.schema == all_known.schema and (nothing.num_rows, all_known.num_rows) == (0, 1)
    assert nothing.schema.field("cycle").type == pa.int64() and nothing.schema.field("valid").type == pa.bool_()


def test_a_result_as_a_parquet_file(tmp_path: Path) -> None:
    """The same columns as a study's table."""
    result = experiment_result()
    result.to_parquet(tmp_path / "result.parquet")
    assert pq.read_table(tmp_path / "result.parquet").to_pylist() == [row(result)]


@pytest.mark.parametrize(
    ("installed", "kind"), [({"pandas", "polars"}, "pandas"), ({"polars"}, "polars"), (set(), "pyarrow")]
)
def test_a_study_as_a_data_frame_of_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], kind: str
) -> None:
    """pandas, else polars, else Arrow's own table; one row a trial."""
    study = _study()
    monkeypatch.setattr(study_module, "find_spec", lambda name: name in installed or None)
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(from_arrow=lambda rows: ("polars", rows.num_rows)))
    rows = SimpleNamespace(num_rows=2, to_pandas=lambda: ("pandas", 2))
    if kind == "pandas":  # pyarrow makes the frame itself, and needs pandas for it
        monkeypatch.setattr("llenergymeasure.schema.columns.table", lambda results: rows)
    found = study.to_dataframe()
    assert (found.num_rows if kind == "pyarrow" else found[1]) == 2
    assert isinstance(found, pa.Table) if kind == "pyarrow" else found[0] == kind
