"""optimum-benchmark in an environment of its own: made once, then run from a configuration file as its users do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.6.0"
# torch first: what the others want of it must find this build there. It does not work with newer majors of the libraries.
_REQUIREMENTS = (
    ("torch==2.13.0",),
    (f"optimum-benchmark=={VERSION}", "transformers<5", "datasets<5", "huggingface_hub<1", "torch==2.13.0"),
)
# No hub is asked by either tool: the model is a directory.
OFFLINE = {**os.environ, "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Shape:
    """The work that both tools are given: one batch after the other, all prompts of one length, no early end."""

    batch_size: int
    input_tokens: int
    new_tokens: int
    threads: int


def environment() -> Path:
    """The folder of its virtual environment in the user's cache, made if it is not whole. Raises where pip fails."""
    from llenergymeasure.models.cache import cache_dir

    folder = cache_dir() / "benchmarks" / f"optimum-benchmark-{VERSION}"
    made = folder / ".made"
    if not made.exists():
        print(f"installing optimum-benchmark {VERSION} and torch into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for requirements in _REQUIREMENTS:
            command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", *requirements]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        made.touch()
    return folder


def versions(venv: Path) -> str:
    """``transformers 4.57.6, torch 2.13.0+cpu``: what it measures with."""
    code = (
        "from importlib.metadata import version as v; print(f\"transformers {v('transformers')}, torch {v('torch')}\")"
    )
    return subprocess.run(
        [venv / "bin" / "python", "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def timed(
    venv: Path, folder: Path, model: Path, shape: Shape, launcher: str, protocol: dict[str, int]
) -> tuple[float, float]:
    """(seconds from the command to its exit with the report written, output tokens a second of its tracked batches)."""
    folder.mkdir()
    configuration = {
        "defaults": ["benchmark", {"scenario": "inference"}, {"launcher": launcher}, {"backend": "pytorch"}, "_self_"],
        "name": "first_result",
        "backend": {
            "model": str(model),
            "task": "text-generation",
            "device": "cpu",
            "torch_dtype": "float32",
            # This version hands the one called inter-op to torch.set_num_threads, and the other to the inter-op pool.
            "inter_op_num_threads": shape.threads,
        },
        "scenario": {
            "input_shapes": {"batch_size": shape.batch_size, "sequence_length": shape.input_tokens},
            "generate_kwargs": {"max_new_tokens": shape.new_tokens, "min_new_tokens": shape.new_tokens},
            **protocol,
        },
        "hydra": {"run": {"dir": str(folder / "out")}, "job": {"chdir": True}},
    }
    (folder / "first_result.yaml").write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
    command = [str(venv / "bin" / "optimum-benchmark"), "--config-dir", str(folder), "--config-name", "first_result"]
    seconds, written = timed_command(command, folder, "out/benchmark_report.json")
    report = json.loads(written.read_text(encoding="utf-8"))
    latency = report["generate"]["latency"]
    return seconds, latency["count"] * shape.batch_size * shape.new_tokens / latency["total"]


def timed_command(command: list[str], folder: Path, result: str) -> tuple[float, Path]:
    """(seconds from starting a command to its exit, the one file of this pattern that it wrote).

    Raises ``RuntimeError`` with the end of its output when there is none. The status is not looked at: optimum-benchmark's inline
    launcher ends with an error after the report is written, because the summary that should follow holds objects of its own.
    """
    log = folder / "output.log"
    with log.open("wb") as output:
        begin_s = time.perf_counter()
        subprocess.run(command, cwd=folder, env=OFFLINE, stdout=output, stderr=subprocess.STDOUT, check=False)
        seconds = time.perf_counter() - begin_s
    written = list(folder.glob(result))
    if len(written) != 1:
        raise RuntimeError(f"{' '.join(command)}: no result\n{log.read_text(errors='replace')[-3000:]}")
    return seconds, written[0]
