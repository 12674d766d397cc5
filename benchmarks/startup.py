"""CPU time of the commands that people and scripts call most, beyond a bare interpreter."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.record import Row, Section, median_interval

_ROUNDS = 40
_CASES = (
    ("import llenergymeasure", ["-c", "import llenergymeasure"], 10.0),
    ("llem --version", ["-m", "llenergymeasure", "--version"], 30.0),
    ("llem --help", ["-m", "llenergymeasure", "--help"], 45.0),
    ("llem run --help", ["-m", "llenergymeasure", "run", "--help"], 45.0),
)

# 2 engines × 5 × 10 × 10 points.
_THOUSAND = """
model: builtin:smollm2-135m
backend: [pytorch, llamacpp]
sweep:
  decoder.max_new_tokens: [8, 16, 32, 64, 128]
  n: [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
  pytorch.batch_size: [1, 2, 4, 8, 16, 32, 64, 96, 128, 256]
  llamacpp.n_parallel: [1, 2, 4, 8, 16, 32, 64, 96, 128, 256]
"""
_DRY_RUN = "dry run of 1,000 points"


# As installed: the interpreter keeps what it has compiled, whatever this environment says.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cpu_ms(arguments: list[str]) -> float:
    """CPU time of one fresh interpreter, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, env=_ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run() -> Section:
    """Each command in turn with a bare interpreter, so that both meet the same machine."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "thousand.yaml"
        study.write_text(_THOUSAND, encoding="utf-8")
        dry = ["-m", "llenergymeasure", "run", str(study), "-o", folder, "--dry-run"]
        return _section((*_CASES, (_DRY_RUN, dry, 400.0)))


def _section(cases: tuple[tuple[str, list[str], float], ...]) -> Section:
    rows = []
    for name, arguments, limit_ms in cases:
        cpu_ms(arguments)  # the first time, Python files are compiled
        pairs = [(cpu_ms(["-c", "pass"]), cpu_ms(arguments)) for _ in range(_ROUNDS)]
        beyond, low, high = median_interval([ours - bare for bare, ours in pairs])
        bare = median_interval([bare for bare, _ in pairs])[0]
        rows.append(
            Row(
                f"`{name}`" if name != _DRY_RUN else name,
                f"{beyond + bare:.0f} ms",
                f"{bare:.0f} ms",
                f"{beyond:.1f} ms ({low:.1f} … {high:.1f})",
                f"{'yes' if high <= limit_ms else 'no'} (≤ {limit_ms:.0f} ms)",
            )
        )
    return Section(
        "Start-up",
        "python -m benchmarks.run startup",
        f"CPU time of fresh processes whose Python files are compiled, as after an installation's first run; {_ROUNDS} pairs in turn with a bare interpreter; median of the differences with its 95 % interval.",
        ("command", "ours", "bare interpreter", "beyond it", "met"),
        tuple(rows),
    )
