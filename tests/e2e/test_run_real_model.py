"""The real command line, real workers, the real small model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

LLEM = [sys.executable, "-m", "llenergymeasure"]

STUDY = """
name: both engines
model: builtin:smollm2-135m
n: 8
max_input_tokens: 64
decoder: {max_new_tokens: 20, ignore_eos: false}
warmup: {strategy: fixed, n_warmup: 1}
window: {min_seconds: 0.5}
execution: {n_cycles: 1}
backend: [llamacpp, pytorch]
sweep:
  llamacpp.n_parallel: [1, 4, 8]
  pytorch.batch_size: [1, 4, 8]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One study of both engines at three batch sizes, with ragged prompts and natural ends."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    folder = tmp_path_factory.mktemp("e2e")
    (folder / "study.yaml").write_text(STUDY)
    command = [*LLEM, "run", str(folder / "study.yaml"), "-o", str(folder / "results"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    return Path(document["study"]["folder"]), document["study"]


def trials(folder):
    found = sorted((folder / "trials").iterdir())
    assert len(found) == 6
    return [
        (path, json.loads((path / "result.json").read_text()), pq.read_table(path / "requests.parquet"))
        for path in found
    ]


def test_token_totals_equal_an_independent_count_of_ids(study):
    """At 1, 4 and 8, on both engines, with completions that end early: the total is the number of ids, ends counted once."""
    for path, result, table in trials(study[0]):
        ids = [len(row) for row in table.column("output_ids").to_pylist()]
        assert min(ids) >= 1
        assert len(ids) == result["tokens"]["requests"] > 0
        assert sum(ids) == result["tokens"]["output_tokens"], path.name
        assert max(ids) <= 20
        assert not [remark for remark in result["validity"]["remarks"] if remark["code"] == "token_count_mismatch"]
    assert any(min(len(row) for row in table.column("output_ids").to_pylist()) < 20 for _, _, table in trials(study[0]))


def test_both_engines_get_identical_input_ids(study):
    """From the traces: the same prompt has the same ids wherever it ran."""
    seen = {}
    for _, _, table in trials(study[0]):
        for prompt, ids in zip(table.column("prompt").to_pylist(), table.column("input_ids").to_pylist(), strict=True):
            assert seen.setdefault(prompt, ids) == ids
    assert len(seen) == 8
    assert len({len(ids) for ids in seen.values()}) >= 3, "the prompts are not ragged"


def test_every_result_obeys_the_identities(study):
    """W = J/token × tokens/s, and J = W × s; energy is estimated with an interval, or null with a reason."""
    for _, result, _ in trials(study[0]):
        energy, rate, power = (
            result[name] for name in ("energy_per_output_token_j", "tokens_per_second", "mean_power_w")
        )
        assert rate["value"] > 0
        if energy["value"] is None:
            assert energy["reason"]
            continue
        assert energy["value"] * rate["value"] == pytest.approx(power["value"], rel=1e-9)
        assert result["energy_total_j"]["value"] == pytest.approx(
            power["value"] * result["method"]["window_s"], rel=1e-9
        )
        if energy["estimated"]:
            assert energy["absolute_95"]["low"] < energy["value"] < energy["absolute_95"]["high"]
            assert "estimated_energy" in {remark["code"] for remark in result["validity"]["remarks"]}


def test_the_study_names_one_best(study):
    """One aggregate an experiment, exactly one of them best, written to disk as printed."""
    summary = study[1]
    assert len(summary["aggregates"]) == 6
    assert sum(aggregate["best"] for aggregate in summary["aggregates"]) == 1
    assert (study[0] / "study_summary.json").exists()
    assert pq.read_table(study[0] / "results.parquet").num_rows == 6


def test_a_resolved_experiment_runs_as_it_is(study, tmp_path):
    """``config.yaml`` of a trial is a configuration with the same hash."""
    from llenergymeasure.config.experiment import ExperimentConfig
    from llenergymeasure.config.hashing import measurement_config_hash

    for path, result, _ in trials(study[0]):
        assert (
            measurement_config_hash(ExperimentConfig.from_yaml(path / "config.yaml"))
            == result["measurement_config_hash"]
        )
