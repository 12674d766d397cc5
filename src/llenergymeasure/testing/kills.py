"""A study whose processes are killed for real, over and over, and gone on with each time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from llenergymeasure.store.layout import JOURNAL, RESULT, SUMMARY, TRIALS_FOLDER
from llenergymeasure.testing.model_files import write_gguf

_LLEM = (sys.executable, "-m", "llenergymeasure")
_ROLES = {
    "host": "llenergymeasure run",
    "driver": "llenergymeasure.trial",
    "worker": "llenergymeasure.worker",
    "meter": "llenergymeasure.meter",
}
_GONE_S = 30.0
# Most kills fall into a trial, where there is most to lose; the others anywhere between start and end.
_IN_A_TRIAL = 0.75
_STUDY = """
name: killed
model: {model}
backend: simulated
n: 4
decoder: {{max_new_tokens: 8}}
warmup: {{strategy: fixed, n_warmup: 1}}
window: {{min_seconds: 0.3}}
sweep: {{simulated.concurrency: {sizes}}}
execution: {{n_cycles: {cycles}, cycle_order: shuffled}}
"""


@dataclass(slots=True)
class Killed:
    """What came of it: kills by role, and everything that was wrong, in words; empty is as it should be."""

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    trials: int = 0
    wrong: list[str] = field(default_factory=list)


def kill_and_resume(home: Path, kills: int, seed: int) -> Killed:
    """Run a simulated study in ``home`` with that many SIGKILLs at random instants, at any of its processes.

    After each kill of the host, the study is gone on with. In the end every trial has completed once, its figures are those of an
    uninterrupted study, and what had finished before a kill was never touched.
    """
    drawn, killed = random.Random(seed), Killed()
    study = _write_study(home, kills)
    results, kept = home / "results", dict[str, int]()
    while sum(killed.kills.values()) < kills:
        llem = _start(study, results)
        killed.starts += 1
        while llem.poll() is None and sum(killed.kills.values()) < kills:
            if drawn.random() < _IN_A_TRIAL:
                _wait_for_worker(home, llem)
            time.sleep(drawn.uniform(0.0, 0.8))
            living = _by_role(home)
            if not living or llem.poll() is not None:
                continue
            role = drawn.choice(sorted(living))
            living[role].send_signal(signal.SIGKILL)
            killed.kills[role] += 1
        if llem.poll() is None:
            llem.kill()
        llem.wait()
        _check_gone(home, killed)
        kept = _check_kept(results, kept, killed)
        if _complete(results):
            break
    _finish(study, results, killed)
    _check_kept(results, kept, killed)
    _check_whole(results, killed)
    return killed


def _write_study(home: Path, kills: int) -> Path:
    """A study that is long enough: a second or so of work for each kill."""
    model = home / "tiny.gguf"
    write_gguf(model)
    sizes = list(range(1, 1 + max(2, -(-kills // 4))))
    study = home / "study.yaml"
    study.write_text(_STUDY.format(model=model, sizes=sizes, cycles=4), encoding="utf-8")
    return study


def _start(study: Path, results: Path) -> subprocess.Popen[bytes]:
    folders = list(results.glob("*/study_manifest.json"))
    what = ["--resume", str(folders[0].parent), "--retry-failed"] if folders else [str(study), "-o", str(results)]
    return subprocess.Popen(
        [*_LLEM, "run", *what], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _finish(study: Path, results: Path, killed: Killed) -> None:
    for _ in range(3):
        if _start(study, results).wait() == 0:
            return
    killed.wrong.append("the study could not be completed after the last kill")


def _wait_for_worker(home: Path, llem: subprocess.Popen[bytes]) -> None:
    while llem.poll() is None and "worker" not in _by_role(home):
        time.sleep(0.02)


def _by_role(home: Path) -> dict[str, psutil.Process]:
    """One living process for each role that has one."""
    found = {}
    for process in _ours(home):
        for role, words in _ROLES.items():
            if words in _command(process):
                found[role] = process
    return found


def _ours(home: Path) -> list[psutil.Process]:
    """Living processes that work below ``home``."""
    found = []
    for process in psutil.process_iter():
        try:
            line = _command(process)
            if str(home) in line and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _check_gone(home: Path, killed: Killed) -> None:
    """Whatever the host started ends with it."""
    end = time.monotonic() + _GONE_S
    while left := _ours(home):
        if time.monotonic() > end:
            killed.wrong.append(f"processes are left: {[_command(process) for process in left]}")
            return
        time.sleep(0.05)


def _check_kept(results: Path, before: dict[str, int], killed: Killed) -> dict[str, int]:
    now = {str(path.parent): path.stat().st_mtime_ns for path in results.glob(f"*/{TRIALS_FOLDER}/*/{RESULT}")}
    killed.wrong += [f"{name}: a finished trial was touched" for name, at in before.items() if now.get(name) != at]
    return now


def _complete(results: Path) -> bool:
    for file in results.glob(f"*/{SUMMARY}"):
        summary = json.loads(file.read_text(encoding="utf-8"))
        return bool(summary["ran"] == summary["planned"])
    return False


def _check_whole(results: Path, killed: Killed) -> None:
    """Every trial completed once, with the tokens that its configuration says."""
    (folder,) = results.iterdir()
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    killed.trials = summary["planned"]
    if summary["ran"] != summary["planned"]:
        killed.wrong.append(f"{summary['ran']} of {summary['planned']} trials ran")
    lines = [json.loads(line) for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines() if _whole(line)]
    completed = Counter(line["trial"] for line in lines if line["event"] == "completed")
    killed.wrong += [f"trial {trial} completed {count} times" for trial, count in completed.items() if count != 1]
    if len(completed) != summary["planned"]:
        killed.wrong.append(f"{len(completed)} trials are journalled as completed")
    for path in folder.glob(f"{TRIALS_FOLDER}/*/{RESULT}"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["tokens"]["output_tokens"] != 8 * result["tokens"]["requests"]:
            killed.wrong.append(f"{path.parent.name}: {result['tokens']} is not 8 tokens a request")


def _whole(line: str) -> bool:
    """A kill may leave a torn line; the journal's reader passes over it, too."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
