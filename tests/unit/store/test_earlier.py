from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.store.earlier import earlier_trials


def _row(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "experiment_id": "grid_2026-11-23T14-30-05Z/001_pytorch_b8_d7e4c1_c1",
        "model": "builtin:smollm2-135m",
        "backend": "pytorch",
        "precision": "bf16",
        "tokens_per_second": 185.5,
        "mean_power_w": 40.5,
        "energy_estimated": True,
        "load_s": 1.25,
        "valid": True,
    }
    return fields | changes


def _study(results_dir: Path, name: str, *rows: dict[str, Any], age_s: int = 0) -> None:
    folder = results_dir / name
    folder.mkdir(parents=True)
    with open(folder / "results.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(_row()))
        writer.writeheader()
        writer.writerows(rows)
    os.utime(folder / "results.csv", (1_700_000_000 - age_s, 1_700_000_000 - age_s))


def test_a_row_becomes_a_trial(tmp_path: Path) -> None:
    """Rate, power, loading and, from the folder's name, the concurrency."""
    _study(tmp_path, "grid", _row(), _row(experiment_id="grid_x/002_llamacpp_b16_aaaaaa_c2_a3", backend="llamacpp"))
    first, second = earlier_trials(tmp_path)
    assert (first.study, first.model, first.concurrency) == ("grid_2026-11-23T14-30-05Z", "builtin:smollm2-135m", 8)
    assert (first.tokens_per_second, first.mean_power_w, first.load_s) == (185.5, 40.5, 1.25)
    assert first.power_estimated
    assert (second.backend, second.concurrency) == ("llamacpp", 16)


def test_the_newest_study_comes_first(tmp_path: Path) -> None:
    """Of equals a forecast takes the first."""
    _study(tmp_path, "a", _row(experiment_id="old/001_pytorch_b8_d7e4c1_c1"), age_s=100)
    _study(tmp_path, "b", _row(experiment_id="new/001_pytorch_b8_d7e4c1_c1"))
    assert [trial.study for trial in earlier_trials(tmp_path)] == ["new", "old"]


def test_what_was_not_measured_is_none(tmp_path: Path) -> None:
    """An empty cell is not known, and never 0."""
    _study(tmp_path, "grid", _row(mean_power_w="", load_s="", energy_estimated=""))
    (trial,) = earlier_trials(tmp_path)
    assert (trial.mean_power_w, trial.load_s, trial.power_estimated) == (None, None, False)


@pytest.mark.parametrize(
    "change",
    [{"valid": False}, {"tokens_per_second": ""}, {"tokens_per_second": "nan"}, {"experiment_id": "odd"}],
    ids=["not valid", "no rate", "no number", "no folder"],
)
def test_a_row_that_says_nothing_is_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    """Only valid trials with a rate are gone by."""
    _study(tmp_path, "grid", _row(**change), _row())
    assert len(earlier_trials(tmp_path)) == 1


def test_damage_and_absence_are_passed_over(tmp_path: Path) -> None:
    """A forecast never fails over an old file."""
    _study(tmp_path, "grid", _row())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.csv").write_bytes(b"experiment_id\n\xff\xfe\n")
    assert len(earlier_trials(tmp_path)) == 1
    assert earlier_trials(tmp_path / "missing") == ()
