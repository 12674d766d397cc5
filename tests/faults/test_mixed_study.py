"""A study in which everything goes wrong at once, but not for everybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from llenergymeasure.testing.model_files import write_gguf

pytestmark = pytest.mark.faults

LLEM = [sys.executable, "-m", "llenergymeasure", "run"]
STUDY = """
name: mixed
model: {model}
backend: simulated
n: 2
decoder: {{max_new_tokens: 4}}
warmup: {{strategy: fixed, n_warmup: 1}}
window: {{min_seconds: 0.1}}
groups:
  points:
    - {{simulated.concurrency: 1}}
    - {{simulated.fail: out_of_memory}}
    - {{simulated.fail: segfault}}
    - {{simulated.fail: hang}}
    - {{decoder.num_beams: 4}}
    - {{simulated.concurrency: 2}}
execution: {{n_cycles: 1, cycle_order: sequential}}
"""


def _llem(home, *arguments):
    done = subprocess.run(
        [*LLEM, *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "XDG_CONFIG_HOME": str(home / "config")},
    )
    return done.returncode, json.loads(done.stdout)


def test_points_that_fail_leave_the_others_alone(tmp_path, own_cache):
    """Ran, failed and skipped are apart, each with its reason; retrying runs the failed ones again and no other."""
    write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "study.yaml").write_text(STUDY.format(model=tmp_path / "tiny.gguf"))
    (tmp_path / "config" / "llenergymeasure").mkdir(parents=True)
    (tmp_path / "config" / "llenergymeasure" / "config.yaml").write_text("advanced: {silence_seconds: {load: 2}}\n")
    status, document = _llem(tmp_path, tmp_path / "study.yaml", "-o", tmp_path / "results")
    study = document["study"]
    assert (status, document["outcome"]) == (1, "failed_trials")
    assert [failed["kind"] for failed in study["failed"]] == ["out_of_memory", "killed", "silent"]
    assert all(failed["message"] for failed in study["failed"])
    (skipped,) = study["skipped"]
    assert "num_beams needs decoding_strategy: beam" in skipped["reason"]
    assert study["ran"] == len(study["results"]) == 2
    (folder,) = (tmp_path / "results").iterdir()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/result.json")}
    status, document = _llem(tmp_path, "--resume", folder, "--retry-failed")
    assert status == 1
    assert [failed["kind"] for failed in document["study"]["failed"]] == ["out_of_memory", "killed", "silent"]
    assert sorted(path.name[:3] for path in folder.glob("trials/*_a2")) == ["002", "003", "004"]
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/result.json")}
