"""Processes killed for real, at random: nothing is left behind, nothing that finished is lost, nothing is repeated."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.faults

LLEM = [sys.executable, "-m", "llenergymeasure"]
STUDY = """
name: killed
model: {model}
backend: simulated
n: 4
decoder: {{max_new_tokens: 8}}
warmup: {{strategy: fixed, n_warmup: 1}}
window: {{min_seconds: 0.3}}
sweep: {{simulated.concurrency: [1, 2]}}
execution: {{n_cycles: 2, cycle_order: interleaved}}
"""


@pytest.fixture
def study(tmp_path, own_cache):
    from llenergymeasure.testing.model_files import write_gguf

    model = tmp_path / "tiny.gguf"
    write_gguf(model)
    (tmp_path / "study.yaml").write_text(STUDY.format(model=model))
    return tmp_path


def start(study, *arguments):
    command = [*LLEM, "run", *arguments, "-o", str(study / "results")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition, seconds):
    """Wait for a condition of another process; the only way to learn of it is to look."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def ours(study):
    """Living processes that work on this study."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(study) in line and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            found.append(process)
    return found


def of_role(study, role):
    words = {"worker": "llenergymeasure.worker", "meter": "llenergymeasure.meter", "driver": "llenergymeasure.trial"}
    return [process for process in ours(study) if words[role] in " ".join(process.cmdline())]


def finished(study):
    return {path.parent.name: path.stat().st_mtime_ns for path in (study / "results").glob("*/trials/*/result.json")}


def resume(study):
    (folder,) = (study / "results").iterdir()
    done = subprocess.run(
        [*LLEM, "run", "--resume", str(folder), "--retry-failed"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return folder, done


def whole(folder):
    summary = json.loads((folder / "study_summary.json").read_text())
    assert summary["ran"] == summary["planned"] == 4
    completed = [
        line
        for line in map(json.loads, (folder / "study_journal.jsonl").read_text().splitlines())
        if line["event"] == "completed"
    ]
    assert sorted(line["trial"] for line in completed) == [1, 2, 3, 4], "each trial completed exactly once"


@pytest.mark.parametrize("role", ["worker", "meter", "driver"])
def test_a_killed_helper_fails_its_trial_only(study, role):
    """The trial of a killed worker, meter or driver fails or is interrupted, the others run, and going on completes it."""
    llem = start(study, str(study / "study.yaml"))
    victim = wait_for(lambda: of_role(study, role), 60)[0]
    victim.send_signal(signal.SIGKILL)
    llem.communicate(timeout=120)
    wait_for(lambda: not ours(study), 30)
    before = finished(study)
    folder, done = resume(study)
    assert done.returncode == 0, done.stderr
    whole(folder)
    after = finished(study)
    assert before.items() <= after.items(), "a finished trial was touched"


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_host_leaves_no_process_and_loses_nothing(study, seed):
    """Killed at a random instant: all is gone within 30 s, the next start says what is unfinished, and resume completes it."""
    llem = start(study, str(study / "study.yaml"))
    wait_for(lambda: list((study / "results").glob("*/study_manifest.json")), 60)
    time.sleep(random.Random(seed).uniform(0.0, 4.0))
    llem.kill()
    llem.communicate()
    wait_for(lambda: not ours(study), 30)
    before = finished(study)
    if len(before) < 4 or not list((study / "results").glob("*/study_summary.json")):
        told = subprocess.run(
            [*LLEM, "run", "-m", str(study / "nothing.gguf"), "-b", "simulated", "-o", str(study / "results")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "unfinished" in told.stderr
    folder, done = resume(study)
    assert done.returncode == 0, done.stderr
    whole(folder)
    assert before.items() <= finished(study).items(), "a finished trial was touched"


def test_one_interrupt_finishes_the_batch_and_keeps_what_ran(study):
    """Exit 130; what had completed stays, and resume completes the rest."""
    llem = start(study, str(study / "study.yaml"))
    wait_for(lambda: finished(study), 60)
    llem.send_signal(signal.SIGINT)
    llem.communicate(timeout=60)
    assert llem.returncode == 130
    wait_for(lambda: not ours(study), 30)
    before = finished(study)
    assert before
    folder, done = resume(study)
    assert done.returncode == 0, done.stderr
    assert Path(folder / "results.csv").exists()
    assert before.items() <= finished(study).items()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("raise", "backend_error"),
        ("segfault", "killed"),
        ("garbage", "internal"),
        ("out_of_memory", "out_of_memory"),
        ("exit", "exit_status"),
    ],
)
def test_a_failing_engine_is_one_failed_trial(study, mode, kind):
    """Its kind is told, the log's end is kept, the exit status is 1."""
    text = (
        (study / "study.yaml")
        .read_text()
        .replace("sweep: {simulated.concurrency: [1, 2]}", f"sweep: {{simulated.fail: [{mode}, null]}}")
    )
    (study / "study.yaml").write_text(text.replace("n_cycles: 2", "n_cycles: 1"))
    done = subprocess.run(
        [*LLEM, "run", str(study / "study.yaml"), "-o", str(study / "results"), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    summary = json.loads(done.stdout)["study"]
    assert done.returncode == 1
    assert [failed["kind"] for failed in summary["failed"]] == [kind]
    assert summary["ran"] == 1
