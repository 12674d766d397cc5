from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.store.layout import new_study_folder, place_problem, safe, trial_folder_name

_NOW = datetime(2026, 11, 23, 14, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("smollm2-135m", "smollm2-135m"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "study"),
        ("", "study"),
        (".hidden", "hidden"),
        ("org/Model 1.5 é", "org-Model-1.5"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_name_cannot_leave_its_folder(name: str, kept: str) -> None:
    """Whatever a model or a study is called, its folder lies where it should and can be seen."""
    assert safe(name) == kept


def test_a_name_that_exists_gets_a_number(tmp_path: Path) -> None:
    """Two studies of one second have two folders."""
    names = [new_study_folder(tmp_path / "results", "batch", _NOW).name for _ in range(3)]
    assert names == ["batch_2026-11-23T14-30-05Z", "batch_2026-11-23T14-30-05Z_2", "batch_2026-11-23T14-30-05Z_3"]


def test_a_results_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A file in the way is named, with what would help."""
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError, match="cannot be made: Not a directory") as caught:
        new_study_folder(tmp_path / "results", "batch", _NOW)
    assert "-o" in caught.value.hint


def test_a_hundred_studies_a_second_are_enough(tmp_path: Path) -> None:
    """Running out of names is an error."""
    for _ in range(99):
        new_study_folder(tmp_path, "batch", _NOW)
    with pytest.raises(StoreError, match="a hundred times"):
        new_study_folder(tmp_path, "batch", _NOW)


def test_trial_folder_names() -> None:
    """A trial's folder says what it is; only later attempts are numbered, and cycles count from 1."""
    assert trial_folder_name(1, "pytorch", 8, "d7e4c1ff", None, 0, 1) == "001_pytorch_b8_d7e4c1_c1"
    assert trial_folder_name(12, "my/engine", 8, "d7e4c1ff", None, 2, 3) == "012_my-engine_b8_d7e4c1_c3_a3"
    assert trial_folder_name(2, "vllm", 8, "d7e4c1ff", "vllm-0.32", 0, 1) == "002_vllm_b8_d7e4c1_vllm-0.32_c1"


def test_a_place_is_judged_before_it_is_made(tmp_path: Path) -> None:
    """A directory that is not there yet can be made; a file in the way, at any depth, cannot hold results."""
    (tmp_path / "file").touch()
    assert place_problem(tmp_path) is None
    assert place_problem(tmp_path / "a" / "b") is None
    assert place_problem(tmp_path / "file") == place_problem(tmp_path / "file" / "a") == "Not a directory"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
