from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A parent that starts a child, which ties its life to it, and then waits to be killed. The child holds the write end of the
# pipe ``alive``: whoever reads that pipe sees its end when the child is gone.
_PARENT = """
import os, subprocess, sys, time
code = "import os, sys, time; from llenergymeasure.worker.lifeline import die_with_parent; " \
    "{before}; die_with_parent(int(sys.argv[1])); os.write(int(sys.argv[2]), b'!'); time.sleep(60)"
alive = int(sys.argv[1])
subprocess.Popen([sys.executable, "-c", code, str(os.getpid()), str(alive)], pass_fds=[alive], start_new_session=True)
os.close(alive)
time.sleep(60)
"""
# What another system than Linux would do.
_WATCH = "import llenergymeasure.worker.lifeline as line; line._prctl = lambda *_: False; line._WATCH_PERIOD_S = 0.01"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(
            "pass", marks=pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
        ),
        _WATCH,
    ],
    ids=["kernel", "watching"],
)
def test_a_child_dies_when_its_parent_is_killed(before: str) -> None:
    """SIGKILL gives the parent no chance to tell; the child ends all the same, though it leads its own session."""
    seen, alive = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", _PARENT.format(before=before), str(alive)], pass_fds=[alive])
    os.close(alive)
    try:
        assert _next(seen) == b"!"
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        assert _next(seen) == b"", "the child outlived its parent"
    finally:
        parent.kill()
        parent.wait(10)
        os.close(seen)


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    """Between a parent's end and its child's first step nothing is left running."""
    code = (
        "import os; from llenergymeasure.worker.lifeline import die_with_parent; die_with_parent(os.getpid()); print(1)"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_where_the_kernel_has_no_such_call_nothing_is_asked_of_it(tmp_path: Path) -> None:
    """On another system adopting orphans does nothing."""
    code = "import sys; sys.platform = 'darwin'; from llenergymeasure.worker.lifeline import adopt_orphans; adopt_orphans()"
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=30, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr


def _next(pipe: int) -> bytes:
    """The next byte of a pipe, or nothing at its end; fails after a deadline."""
    ready, _, _ = select.select([pipe], [], [], 20)
    assert ready, "nothing happened for 20 s"
    return os.read(pipe, 1)
