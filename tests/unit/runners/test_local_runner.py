from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

import llenergymeasure
from llenergymeasure.errors import BackendError, ConfigError, LLEMError
from llenergymeasure.model.codec import to_line
from llenergymeasure.model.event import Event, Finished, Found, Hello, Progress, event_line
from llenergymeasure.model.inputs import Message, Prompt, Prompts, read_inputs
from llenergymeasure.model.job import BackendChoice, ConvertJob, ModelRef, PrepareJob, ProbeJob, ServeJob
from llenergymeasure.runners.bundle import bundle
from llenergymeasure.runners.job import run_job
from llenergymeasure.runners.local import LocalRunner, open_runner
from llenergymeasure.runners.resolve import runner_at

pytestmark = pytest.mark.usefixtures("own_cache")

_MODEL = ModelRef("m", "/nowhere", "gguf")


def _scripted(folder: Path, code: str) -> LocalRunner:
    """A runner whose interpreter runs ``code`` instead of the worker: its first argument is the job."""
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\nfolder = os.path.dirname(sys.argv[3])\n{code}\n")
    program.chmod(0o755)
    return LocalRunner("scripted", program)


def _writing(*lines: str) -> str:
    return f"open(folder + '/events.jsonl', 'w').write({''.join(lines)!r})"


# --- where workers run


def test_local_is_this_interpreter() -> None:
    """``local`` needs nothing; a path to an environment names its interpreter."""
    assert runner_at("local").check() == ()
    assert runner_at("local").at == "local"


def test_an_environment_without_an_interpreter_is_a_problem(tmp_path: Path) -> None:
    """What is missing is named before anything runs."""
    (problem,) = runner_at(f"venv:{tmp_path}").check()
    assert str(tmp_path / "bin" / "python") in problem
    with pytest.raises(LLEMError, match="cannot be started"):
        runner_at(f"venv:{tmp_path}").launch(tmp_path / "job.json", tmp_path / "worker.log")


@pytest.mark.parametrize("at", ["venv", "venv:", "elsewhere"])
def test_another_place_is_a_configuration_error(at: str) -> None:
    """The runner says what it takes."""
    with pytest.raises(ConfigError, match="not a place this runner knows") as caught:
        open_runner(at)
    assert "venv:PATH" in caught.value.hint


def test_a_runner_that_nobody_knows_is_an_error() -> None:
    """The known ones are listed."""
    with pytest.raises(LLEMError, match="'moon' is not one of the runners") as caught:
        runner_at("moon:base")
    assert "local" in caught.value.hint


# --- the bundle


def test_the_bundle_holds_the_workers_world_and_no_more() -> None:
    """Its modules are there, byte for byte, and nothing of the host's."""
    place = bundle() / "llenergymeasure"
    names = {path.relative_to(place).as_posix() for path in place.rglob("*.py")}  # a worker leaves bytecode beside them
    assert {"__init__.py", "plugins.py", "worker/recipe.py", "model/job.py", "testing/simulated_backend.py"} <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {
        *("__init__.py", "_version.py", "clock.py", "errors.py", "plugins.py", "units.py"),
        *("backends", "model", "testing", "worker"),
    }
    package = Path(llenergymeasure.__file__).parent
    assert all((place / name).read_bytes() == (package / name).read_bytes() for name in names)


def test_the_bundle_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code has the same bundle, and nothing else is left in the cache."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path))
    first = bundle()
    before = first.stat().st_mtime_ns
    assert bundle() == first and first.stat().st_mtime_ns == before
    assert list(first.parent.iterdir()) == [first]


def test_bundles_made_at_the_same_time_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is second finds the first one's and leaves nothing behind."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(bundle())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert list((tmp_path / "worker").iterdir()) == [found[0]]


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the place of the cache is not passed over."""
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(OSError, match="Not a directory"):
        bundle()


# --- short jobs, with the real worker


def test_a_probe_says_what_is_here(tmp_path: Path) -> None:
    """All events come back, and each was passed on as it came."""
    seen: list[Event] = []
    events = run_job(runner_at("local"), ProbeJob("simulated"), tmp_path, on_event=seen.append, timeout_s=60)
    assert tuple(seen) == events
    assert isinstance(events[0], Hello) and events[0].identity.pid != os.getpid()
    assert isinstance(events[1], Found) and events[1].backend == "simulated"
    assert events[-1] == Finished("probe")


def test_the_worker_sees_no_package_of_ours(tmp_path: Path) -> None:
    """It runs from the bundle, not from where this program is installed."""
    process = runner_at("local").launch(tmp_path / "no-such-job.json", tmp_path / "worker.log")
    assert process.wait(60) == 1
    traceback = (tmp_path / "worker.log").read_text()
    assert str(bundle()) in traceback
    assert str(Path(llenergymeasure.__file__).parent) not in traceback
    assert json.loads((tmp_path / "worker_error.json").read_text())["kind"] == "backend_error"


def test_prepare_makes_the_inputs(tmp_path: Path) -> None:
    """Texts, chats and exact lengths become ids; what was cut is counted."""
    prompts = Prompts(
        (
            Prompt("one two three"),
            Prompt(messages=(Message("user", "one two three four"),)),
            Prompt("one", exact_tokens=5, max_new_tokens=3),
            Prompt("one two three four five six seven"),
        ),
        "mixed",
        "d" * 64,
    )
    (tmp_path / "prompts.json").write_text(to_line(prompts))
    job = PrepareJob("simulated", _MODEL, n=3, n_warmup=1, max_input_tokens=6)
    run_job(runner_at("local"), job, tmp_path, timeout_s=60)
    inputs = read_inputs(tmp_path)
    assert inputs.description.lengths == (4, 6, 5, 6)
    assert (inputs.description.n, inputs.description.truncated) == (3, 2)
    assert inputs.description.max_new_tokens == (None, None, 3, None)
    bos, one = inputs.ids[0][:2]
    assert inputs.ids[2] == (bos, one, bos, one, bos)
    assert inputs.ids[3] == (*inputs.ids[0], *inputs.ids[3][4:])


@pytest.mark.parametrize(
    ("prompt", "prompt_format", "words"),
    [
        (Prompt("one", exact_tokens=0), "raw", "prompt 1 of mixed has no tokens"),
        (Prompt("one two"), "chat", "the chat template alone is longer than 3 tokens"),
    ],
)
def test_prompts_that_become_nothing_are_an_error(
    tmp_path: Path, prompt: Prompt, prompt_format: str, words: str
) -> None:
    """The worker's words come back as an error of the host, with what would help."""
    (tmp_path / "prompts.json").write_text(to_line(Prompts((prompt,), "mixed", "d" * 64)))
    job = PrepareJob("simulated", _MODEL, 1, 0, 3, prompt_format)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=words) as caught:
        run_job(runner_at("local"), job, tmp_path, timeout_s=60)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (ConvertJob("simulated", _MODEL, "/there"), "opens every format as it is"),
        (ServeJob(BackendChoice("simulated"), _MODEL, "as_stored", "cpu"), "serving is not offered"),
        (ProbeJob("nobody"), "'nobody' is not one of the backends"),
    ],
    ids=["convert", "serve", "unknown"],
)
def test_a_job_that_cannot_be_done_is_an_error(tmp_path: Path, job: ProbeJob, words: str) -> None:
    """Every kind of job reports why it failed."""
    with pytest.raises(BackendError, match=words):
        run_job(runner_at("local"), job, tmp_path, timeout_s=60)


# --- short jobs, with workers that misbehave


def test_a_worker_without_an_end_is_killed(tmp_path: Path) -> None:
    """A job that takes too long is an error, and its worker is gone."""
    runner = _scripted(tmp_path, "open(folder + '/pid', 'w').write(str(os.getpid())); time.sleep(60)")
    with pytest.raises(BackendError, match="probe job: no end after 1 s"):
        run_job(runner, ProbeJob("x"), tmp_path / "job", timeout_s=1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "job" / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("sys.exit(3)", 3),
        ("os.kill(os.getpid(), 11)", -11),
        ("sys.exit(0)", 0),
        (_writing(event_line(Progress("half"))), 0),
    ],
)
def test_a_worker_that_ends_without_its_last_event_failed(tmp_path: Path, code: str, status: int) -> None:
    """An exit status, a signal, or an engine that leaves quietly: the error names the log."""
    with pytest.raises(BackendError, match=f"probe job: the worker ended with status {status}") as caught:
        run_job(_scripted(tmp_path, code), ProbeJob("x"), tmp_path / "job", timeout_s=30)
    assert str(tmp_path / "job" / "worker.log") in caught.value.hint


def test_a_worker_that_writes_garbage_failed(tmp_path: Path) -> None:
    """A line that is no event is an error of the job, not a crash of the host; the worker is gone."""
    code = _writing("garbage\n", event_line(Finished("probe")))
    with pytest.raises(BackendError, match="wrote an event that cannot be read: not a JSON line: 'garbage'"):
        run_job(_scripted(tmp_path, f"{code}; time.sleep(60)"), ProbeJob("x"), tmp_path / "job", timeout_s=30)
