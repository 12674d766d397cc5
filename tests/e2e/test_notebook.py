"""The Python interface where people call it: in a notebook's kernel, and in a plain script."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from llenergymeasure.testing.model_files import write_gguf

pytestmark = pytest.mark.e2e

CALL = (
    "llem.run_experiment(model='tiny.gguf', backend='simulated', n=4, decoder={'max_new_tokens': 8}, "
    "warmup={'strategy': 'fixed', 'n_warmup': 1}, window={'min_seconds': SECONDS}, baseline={'enabled': False})"
)
QUICK = CALL.replace("SECONDS", "0.2")


@pytest.fixture
def here(tmp_path, own_cache, monkeypatch):
    """A folder with a tiny model, where neither Jupyter nor llem reads what is the user's."""
    write_gguf(tmp_path / "tiny.gguf")
    for name in ("XDG_CONFIG_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        (tmp_path / "own" / name).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / "own" / name))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kernel(here):
    """(manager, client) of a real IPython kernel in that folder."""
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    manager_module = pytest.importorskip("jupyter_client.manager", reason="jupyter_client is not installed")
    manager, client = manager_module.start_new_kernel(kernel_name="python3", cwd=str(here))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run_cell(client, code, seconds=60):
    """(status, what was shown) of a cell."""
    shown = []

    def show(message):
        if message["msg_type"] == "stream":
            shown.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=seconds, output_hook=show)
    return reply["content"]["status"], "".join(shown)


def test_a_notebook_measures(here):
    """A whole notebook runs: result, progress in lines, and the event loop of the kernel goes on working."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    cells = [
        "import asyncio\nimport llenergymeasure as llem",
        "ticks = []\nasync def tick():\n    while True:\n        ticks.append(1)\n        await asyncio.sleep(0.05)\n"
        "ticking = asyncio.create_task(tick())\nawait asyncio.sleep(0.2)",
        f"result = {QUICK[:-1]}, progress=True)",
        "before = len(ticks)\nawait asyncio.sleep(0.3)\nprint(len(ticks) > before, not ticking.done())\nticking.cancel()",
        "print(result.summary())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(here)}}
    ).execute()
    shown = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert "Experiment  tiny / simulated" in shown[2] and "\x1b" not in shown[2] and "\r" not in shown[2]
    assert shown[3] == "True True\n"
    assert "tokens/s" in shown[4]
    assert _left(here) == []


@pytest.mark.parametrize(("stage", "ends_with"), [("worker", "KeyboardInterrupt"), ("trial", "ExperimentError")])
def test_an_interrupted_cell_leaves_no_process(kernel, here, stage, ends_with):
    """The stop button ends looking for engines, and a measurement; the kernel lives and measures again."""
    manager, client = kernel
    assert (
        run_cell(client, "import llenergymeasure as llem, signal\nhandler = signal.getsignal(signal.SIGINT)")[0] == "ok"
    )
    request = client.execute(CALL.replace("SECONDS", "300"))
    wait_for(lambda: any(f"llenergymeasure.{stage}" in line for line in _left(here)))
    manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    assert reply["content"].get("ename") == ends_with
    wait_for(lambda: not _left(here))
    code = f"print(signal.getsignal(signal.SIGINT) is handler)\nprint({QUICK}.tokens.requests > 0)"
    assert run_cell(client, code) == ("ok", "True\nTrue\n")
    assert _left(here) == []


def wait_for(condition, seconds=60):
    """Another process is watched; there is nothing to wait on but time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _left(folder):
    """Command lines of our living processes that work for this folder: its temporary files are there as well."""
    found = [
        (process.info["status"], " ".join(process.info["cmdline"] or ()))
        for process in psutil.process_iter(["cmdline", "status"])
    ]
    return [
        line
        for status, line in found
        if str(folder) in line and "llenergymeasure." in line and status != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_script_without_a_guard_measures(here, how):
    """No ``if __name__`` is needed: what runs a trial is not a copy of the script."""
    script = f"import llenergymeasure as llem\nprint('once')\nprint({QUICK}.tokens.requests > 0)\n"
    (here / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py" if how == "file" else "-"],
        input=script,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\nTrue\n", "")
