"""The real command when something is wrong around it: it says what, where and what to do, and shows no traceback."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from llenergymeasure.testing.model_files import write_gguf

pytestmark = pytest.mark.faults

LLEM = [sys.executable, "-m", "llenergymeasure"]
STUDY = """
name: s
model: ./tiny.gguf
backend: simulated
n: 4
decoder: {max_new_tokens: 8}
warmup: {strategy: fixed, n_warmup: 1}
window: {min_seconds: 0.2}
sweep: {simulated.concurrency: [1, 2]}
execution: {n_cycles: 1, cycle_order: sequential}
"""
SINGLE = STUDY.split("sweep:")[0].replace("name: s\n", "")


@pytest.fixture
def here(tmp_path, own_cache, monkeypatch):
    """A folder with a tiny model, a study and an experiment; nothing of the user's is read."""
    write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "single.yaml").write_text(SINGLE)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "NO_COLOR", *(name for name in os.environ if name.startswith("LLEM_R"))):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("XDG_CONFIG_HOME", "config"), ("HF_HOME", "hub")):
        monkeypatch.setenv(name, str(tmp_path / name / value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def llem(*arguments, **how):
    """Run the command to its end; there is no traceback."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | how
    done = subprocess.run([*LLEM, *arguments], text=True, timeout=120, check=False, **how)
    assert "Traceback" not in f"{done.stdout}{done.stderr}"
    return done


def shell(script, *arguments):
    """Run a shell script in which ``llem`` is the command."""
    command = ["bash", "-c", f'llem() {{ {" ".join(LLEM)} "$@"; }}\n{script}', "-", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def trials(folder):
    return sorted(folder.glob("*/trials/*/result.json"))


def test_everything_that_is_missing_is_told_at_once(here):
    """Engine, model and dataset: three lines in one go, each with its remedy, exit status 1, nothing written."""
    (here / "bad.yaml").write_text("model: ./nothing.gguf\nbackend: [tensorrt, simulated]\ndataset: nowhere.csv\n")
    done = llem("run", "bad.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    problems = [line for line in done.stderr.splitlines() if line.startswith("  - ")]
    assert len(problems) == 3
    for problem, words in zip(problems, ("tensorrt: ", "./nothing.gguf: ", "nowhere.csv: "), strict=True):
        assert problem.startswith(f"  - {words}") and re.search(r"\(.+\)$", problem)
    assert not (here / "results").exists()
    document = json.loads(llem("run", "bad.yaml", "--json", "-q").stdout)
    assert document["outcome"] == "preflight" and "nowhere.csv" in document["message"]


def test_a_misspelt_key_is_told_with_its_line(here):
    """Before anything is looked for: exit status 2."""
    (here / "bad.yaml").write_text("model: ./tiny.gguf\nprecison: bf16\n")
    done = llem("run", "bad.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: bad.yaml:2: unknown key 'precison' (did you mean 'precision'?)\n"
    assert (
        "Traceback"
        in subprocess.run([*LLEM, "run", "bad.yaml", "-vv"], capture_output=True, text=True, check=False).stderr
    )


class _Hub(BaseHTTPRequestHandler):
    """A hub that refuses: the first part of a model's name says how."""

    def do_GET(self):
        status, code = {"gated": (403, "GatedRepo"), "unknown": (404, "RepoNotFound"), "broken": (500, "")}[
            next(word for word in ("gated", "unknown", "broken") if word in self.path)
        ]
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *words):
        """Nothing is printed."""


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("model", "said", "remedy"),
    [
        ("gated/model", "gated, and this account has no access to it", "accept its licence at"),
        ("unknown/model", "no model of that name", "check the spelling"),
    ],
)
def test_what_the_hub_refuses(here, hub, monkeypatch, model, said, remedy):
    """A gated and an unknown model: which, why, and what to do."""
    monkeypatch.setenv("HF_ENDPOINT", hub)
    done = llem("run", "-m", model, "-b", "simulated")
    assert done.returncode == 1
    assert f"  - {model}: " in done.stderr and said in done.stderr and remedy in done.stderr


def test_without_a_network(here, monkeypatch):
    """The hub's address, and what works without it."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = llem("run", "-m", "owner/model", "-b", "simulated")
    assert done.returncode == 1
    assert "owner/model: http://127.0.0.1:9 cannot be reached" in done.stderr and "builtin:" in done.stderr


def test_results_that_have_no_place(here):
    """A file stands where the results directory should be: told before an engine is looked for or a model is fetched."""
    (here / "in-the-way").touch()
    done = llem("run", "single.yaml", "-o", "in-the-way")
    assert done.returncode == 1
    assert "in-the-way" in done.stderr and "Not a directory" in done.stderr and "-o" in done.stderr
    assert "looking for" not in done.stderr


@pytest.fixture(scope="module")
def mounts():
    """How to get a mount of one's own; it is gone with the process that made it."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--user", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run(
            [*command, "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False
        ).returncode == 0:  # fmt: skip
            return " ".join(command)
    pytest.skip("file systems cannot be mounted here")


def on_a_disk(mounts, options, script):
    """Run a script with ``disk`` as a file system of its own; what it left there is in ``kept`` afterwards."""
    return shell(
        f"mkdir disk; export -f llem; {mounts} bash -c 'mount -t tmpfs -o {options} none disk; {script}; status=$?; "
        "cp -r disk kept; exit $status'"
    )


def test_a_read_only_disk(here, mounts):
    """Exit status 1, the folder and another way."""
    done = on_a_disk(mounts, "ro", "llem run single.yaml -o disk/results")
    assert done.returncode == 1
    assert "disk/results" in done.stderr and "Read-only file system" in done.stderr and "-o" in done.stderr


def test_a_disk_that_is_full_from_the_start(here, mounts):
    """Nothing runs: exit status 1, the file and what to do."""
    done = on_a_disk(mounts, "size=16k", "llem run study.yaml -o disk")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "free space" in done.stderr
    assert not trials(here / "kept")


def test_a_disk_that_fills_up_keeps_what_was_measured(here, mounts):
    """After the first trial: exit status 1, the reason and how to go on; with free space the rest runs, nothing twice."""
    done = on_a_disk(
        mounts,
        "size=2m",
        "llem run study.yaml -o disk & until ls disk/*/trials/*/result.json 2>/dev/null; do sleep 0.05; done; "
        "cat /dev/zero > disk/filler 2>/dev/null; wait $!; echo status $?; rm disk/filler; "
        "cp -p disk/*/trials/001*/result.json first.json; llem run --resume disk/s_* --retry-failed --json",
    )
    first, _, second = done.stdout.partition("status 1\n")
    assert "No space left" in done.stderr + first and re.search("--resume disk/s_|Failed ", done.stderr + first)
    assert done.returncode == 0 and json.loads(second)["study"]["ran"] == 2
    kept = trials(here / "kept")
    assert len(kept) == 2 and kept[0].read_text() == (here / "first.json").read_text()


def test_an_interrupt_before_anything_runs(here):
    """Exit status 130, one word, no process left."""
    process = subprocess.Popen(
        [*LLEM, "run", "study.yaml"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr.readline().startswith("looking for")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("interrupted\n") and "Traceback" not in err


def test_a_second_interrupt_ends_a_hanging_engine(here):
    """The first asks it to finish its batch; the second waits for nothing. Exit status 130, no process left."""
    (here / "hang.yaml").write_text(
        STUDY.replace("concurrency: [1, 2]", "fail: [hang]") + "simulated: {fail_at_request: 4}\n"
    )
    process = subprocess.Popen(
        [*LLEM, "run", "hang.yaml"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    seen = []
    while not re.search(r"measuring|warm-up  ", "".join(seen)):
        seen.append(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    while "interrupt again" not in seen[-1]:
        seen.append(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in out + err
    _none_left(here)


def _none_left(folder):
    """No living process of ours works in this folder; the kernel takes a moment to tell."""
    for _ in range(200):
        lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
        if not any(str(folder) in line and "llenergymeasure" in line for line in lines):
            return
        time.sleep(0.05)
    raise AssertionError("processes are left")


def test_a_reader_that_leaves(here):
    """``llem … | head -1``: what was asked for arrives, the rest ends quietly, the results and the exit status are there."""
    done = shell(
        "set -e -o pipefail; llem config --schema experiment | head -1; llem --help | true; llem run single.yaml | head -1"
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "{" and lines[1].startswith("Result  results/") and len(lines) == 2
    assert not re.search("Error|Exception|Broken", done.stderr)
    assert len(trials(here / "results")) == 1


def test_a_reader_that_leaves_hides_no_failure(here):
    """The exit status is that of what was run, whoever reads."""
    assert shell("set -o pipefail; llem run not-there.yaml --json | true").returncode == 2


def test_a_watcher_that_leaves_ends_no_study(here):
    """Progress is for whoever watches: when that pipe breaks, the study goes on to its end."""
    done = shell("{ llem run single.yaml 2>&1 >summary.txt; echo $? >status; } | head -1")
    assert done.returncode == 0
    assert (here / "status").read_text() == "0\n"
    assert "J/output token" in (here / "summary.txt").read_text()


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(here, closed):
    """What cannot be printed is not; no file of the study takes the place of a stream."""
    done = shell(f"llem run single.yaml {closed}")
    assert done.returncode == 0
    (result,) = trials(here / "results")
    assert json.loads(result.read_text())["tokens"]["requests"] > 0
    for path in (here / "results").rglob("*.json*"):
        assert "Result  " not in path.read_text()


def test_output_that_cannot_be_written(here):
    """A full device behind stdout: exit status 1 and the reason, not a defect of ours."""
    done = shell("llem --help > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No space left on device") and "defect" not in done.stderr


def test_an_encoding_without_our_characters(here, monkeypatch):
    """They are replaced."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = llem("run", "single.yaml", encoding="latin-1")
    assert done.returncode == 0 and "Result  results/" in done.stdout
    assert "?" in done.stdout and "…" not in done.stdout


def test_plain_lines_where_nobody_watches(here):
    """Into a pipe: whole lines without escapes, progress on stderr and the summary alone on stdout."""
    done = llem("run", "study.yaml")
    assert done.returncode == 0
    assert not re.search(r"[\x1b\r\x08]", done.stdout + done.stderr)
    assert "[1/2]" in done.stderr and "[1/2]" not in done.stdout
    assert done.stdout.startswith("Result  results/") and "Best by" in done.stdout


def on_a_terminal(file, columns, environment):
    """(exit status, what was shown) of a run on a terminal of so many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*LLEM, "run", file],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # how the end of a terminal reads
        pass
    os.close(leader)
    return process.wait(60), shown.decode()


def test_a_terminal_of_40_columns(here):
    """Nothing breaks and nothing is lost: every column of the table is shown, the line in progress fits."""
    status, shown = on_a_terminal("study.yaml", 40, {"TERM": "xterm"})
    assert status == 0 and "Traceback" not in shown
    for words in ("concurrency", "J/token", "tokens/s", "Best", "Result"):
        assert words in shown
    redrawn = re.findall(r"\r\x1b\[2K( +… [^\r\n\x1b]*)", shown)
    assert all(len(line) <= 40 for line in redrawn)


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}], ids=["dumb", "no color"]
)
def test_a_terminal_that_takes_no_escapes(here, environment):
    """``TERM=dumb`` and ``NO_COLOR`` get plain lines."""
    status, shown = on_a_terminal("single.yaml", 100, environment)
    assert status == 0 and "J/output token" in shown
    assert "\x1b" not in shown
