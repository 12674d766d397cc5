"""The worker beside an engine and nothing else."""

from __future__ import annotations

import importlib.metadata
import json
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
