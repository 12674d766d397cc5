"""The worker beside an engine and nothing else."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

LLEM = [sys.executable, "-m", "llenergymeasure"]


@pytest.fixture
def bare(tmp_path):
    """An environment that holds xllamacpp, and a numpy that must never be imported."""
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    environment = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    here = Path(sysconfig.get_path("purelib"))
    for file in importlib.metadata.files("xllamacpp") or ():
        source = here / file
        if source.is_file() and ".." not in file.parts:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, site / file)
    (site / "numpy").mkdir()
    (site / "numpy" / "__init__.py").write_text(
        "raise ImportError('this numpy belongs to the engine and is not for us')\n"
    )
    return environment


def test_a_worker_needs_the_engine_alone(bare, tmp_path):
    """No llenergymeasure, no pydantic, and a numpy that breaks on import: the trial runs all the same."""
    python = bare / "bin" / "python"
    for package in ("llenergymeasure", "pydantic", "psutil"):
        found = subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False, cwd=tmp_path)
        assert found.returncode != 0, f"{package} is there: the environment is not bare"
    flags = "run -m builtin:smollm2-135m -b llamacpp -n 2 --max-new-tokens 4 --quick --json"
    flags += " --set window.min_seconds=0.1 --set max_input_tokens=64"
    done = subprocess.run(
        [*LLEM, *flags.split(), "--runner", f"llamacpp=venv:{bare}", "-o", str(tmp_path / "results")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-500:]
    (result,) = json.loads(done.stdout)["study"]["results"]
    assert result["environment"]["runner"] == f"venv:{bare}"
    packages = result["environment"]["interpreter"]["packages"]
    assert "xllamacpp" in packages
    assert "torch" not in packages
    assert result["tokens"]["output_tokens"] % (2 * 4) == 0 < result["tokens"]["output_tokens"]


def test_a_study_compares_two_environments(bare, tmp_path):
    """One study, the same configuration and the same ids, in two places: each result says where it ran."""
    config = tmp_path / "config" / "llenergymeasure"
    config.mkdir(parents=True)
    (config / "config.yaml").write_text(
        f"environments:\n  here: {{backend: llamacpp, at: local}}\n  bare: {{backend: llamacpp, at: 'venv:{bare}'}}\n"
    )
    (tmp_path / "study.yaml").write_text(
        "model: builtin:smollm2-135m\nn: 2\ndataset: {synthetic: {input_len: 8, output_len: 4}}\n"
        "window: {min_seconds: 0.1}\nllamacpp: {n_threads: 1}\nsweep: {environment: [here, bare]}\n"
    )
    done = subprocess.run(
        [*LLEM, "run", str(tmp_path / "study.yaml"), "--quick", "--json", "-o", str(tmp_path / "results")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")},
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-500:]
    results = json.loads(done.stdout)["study"]["results"]
    assert {result["environment_name"]: result["environment"]["runner"] for result in results} == {
        "here": "local",
        "bare": f"venv:{bare}",
    }
    assert len({result["measurement_config_hash"] for result in results}) == 1
    assert len({result["provenance"]["inputs"]["sha256"] for result in results}) == 1
    folders = [path.name for path in (tmp_path / "results").glob("*/trials/*")]
    assert sorted(name.split("_")[-2] for name in folders) == ["bare", "here"]
