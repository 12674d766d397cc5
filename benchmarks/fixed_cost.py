"""What a trial costs beyond loading and protocol: processes, files, analysis."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.record import Row, Section, median_interval

_TRIALS = 20
# What a whole trial may cost with any engine, and what of it is our own: with the simulated engine there is nothing else.
_DEMANDS = (("of any engine", 2.5), ("of the simulated engine", 0.5))


def run() -> Section:
    """Trials of the simulated engine, whose own times are known; from one journal entry to the next."""
    from llenergymeasure.api import run_study
    from llenergymeasure.config.study import ExecutionConfig, StudyConfig
    from llenergymeasure.testing.model_files import write_gguf

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: what was compiled for one trial serves the next
    with tempfile.TemporaryDirectory() as folder:
        model = write_gguf(Path(folder) / "tiny.gguf")
        study = StudyConfig(
            name="fixed-cost",
            fixed={
                "model": str(model),
                "backend": "simulated",
                "n": 4,
                "decoder": {"max_new_tokens": 8},
                "warmup": {"strategy": "fixed", "n_warmup": 1},
                "window": {"min_seconds": 0.5},
            },
            execution=ExecutionConfig(n_cycles=_TRIALS),
        )
        result = run_study(study, output_dir=Path(folder) / "results")
        journal = (Path(result.folder or "") / "study_journal.jsonl").read_text(encoding="utf-8")
    cost_s = [
        spent - protocol
        for spent, protocol in zip(
            _seconds(journal),
            (one.method.window_s + one.method.warmup_s + (one.method.load_s or 0) for one in result.results),
            strict=True,
        )
    ]
    median, low, high = median_interval(cost_s)
    return Section(
        "Fixed cost per trial",
        "python -m benchmarks.run fixed_cost",
        f"{_TRIALS} trials of the simulated engine with the energy estimate: time from `running` to `completed` in the journal, minus loading, warm-up and window.",
        ("what", "median", "demand", "95 % interval", "met"),
        tuple(
            Row(
                f"beyond loading and protocol, demanded {whose}",
                f"{median:.2f} s",
                f"≤ {most_s} s",
                f"{low:.2f} … {high:.2f} s",
                "yes" if high <= most_s else "no",
            )
            for whose, most_s in _DEMANDS
        ),
    )


def _seconds(journal: str) -> list[float]:
    """Seconds between ``running`` and ``completed`` of each trial."""
    import json
    from datetime import datetime

    began: dict[int, datetime] = {}
    spent = []
    for line in journal.splitlines():
        entry = json.loads(line)
        at = datetime.fromisoformat(entry["at"])
        if entry["event"] == "running":
            began[entry["trial"]] = at
        elif entry["event"] == "completed":
            spent.append((at - began[entry["trial"]]).total_seconds())
    return spent
