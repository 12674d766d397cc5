from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.datasets.lengths import TokenLengths, token_lengths


def _lengths(base: Path, **fields: Any) -> TokenLengths:
    return token_lengths(ExperimentConfig(model="m", backend="pytorch", **fields), base=base, prompts=80)


def test_synthetic_lengths_are_those_asked_for(tmp_path: Path) -> None:
    """A number is exact; without any the default is."""
    found = _lengths(tmp_path, dataset={"synthetic": {"input_len": 64, "output_len": 16}})
    assert (found.mean_input, found.longest_input, found.mean_output, found.longest_output) == (64, 64, 16, 16)
    assert _lengths(tmp_path, dataset="synthetic").longest_input == 512


@pytest.mark.parametrize(
    ("length", "mean", "longest"),
    [
        ({"uniform": {"min": 10, "max": 30}}, 20, 30),
        ({"normal": {"mean": 100, "std": 10}}, 100, 126),
        ({"normal": {"mean": 100, "std": 10, "max": 110}}, 100, 110),
        ({"lognormal": {"median": 100, "sigma": 0.5, "max": 200}}, pytest.approx(113.3, abs=0.1), 200),
    ],
    ids=["uniform", "normal", "with a limit", "lognormal"],
)
def test_distributions_have_their_mean_and_a_long_prompt(
    tmp_path: Path, length: Any, mean: float, longest: int
) -> None:
    """The longest of some hundred draws stays within the limit."""
    found = _lengths(tmp_path, dataset={"synthetic": {"input_len": length}})
    assert (found.mean_input, found.longest_input) == (mean, longest)


def test_the_built_in_prompts_are_known_by_their_profile(tmp_path: Path) -> None:
    """None is made: a long tail, cut where the experiment cuts it."""
    whole = _lengths(tmp_path)
    assert 100 < whole.mean_input < whole.longest_input
    few = token_lengths(ExperimentConfig(model="m", backend="pytorch"), base=tmp_path, prompts=4)
    assert few.longest_input < whole.longest_input
    cut = _lengths(tmp_path, max_input_tokens=50)
    assert (cut.mean_input, cut.longest_input) == (50, 50)


def test_a_small_file_is_read(tmp_path: Path) -> None:
    """Lengths of text and the rows' own limits count."""
    rows = [{"prompt": "a" * 40, "max_new_tokens": 8}, {"prompt": "b" * 400}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = _lengths(tmp_path, dataset="p.jsonl", n=2)
    assert (found.mean_input, found.longest_input) == (55, 100)
    assert (found.mean_output, found.longest_output) == (68, 128)


@pytest.mark.parametrize("dataset", ["missing.jsonl", "table.parquet", "owner/name"])
def test_what_is_not_looked_at_is_assumed_and_said_so(tmp_path: Path, dataset: str) -> None:
    """No download, no library of columns, no error: a length is assumed."""
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    assert "assumed" in _lengths(tmp_path, dataset=dataset).basis
