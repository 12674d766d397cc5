"""Waiting for children."""

import subprocess
import sys
import time

import pytest

from llenergymeasure.runners import ended as module
from llenergymeasure.runners.ended import ended


@pytest.fixture(params=["by the system", "by looking"])
def way(request, monkeypatch):
    """With the system's help, and on a system that has none."""
    if request.param == "by looking":
        monkeypatch.setattr(module, "_descriptor", lambda pid: None)


def _child(code):
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)


@pytest.mark.usefixtures("way")
def test_a_child_that_goes_on_has_not_ended():
    """After the time it is told so, and the status is open."""
    process = _child("input()")
    assert not ended(process, 0.01) and process.returncode is None
    process.communicate(b"\n")
    assert process.returncode == 0


@pytest.mark.usefixtures("way")
def test_the_end_of_a_child_is_noticed_when_it_comes():
    """The status is set, and nobody waited for the rest of the time."""
    began_s = time.monotonic()
    process = _child("raise SystemExit(3)")
    assert ended(process, 60.0) and process.returncode == 3
    assert ended(process, 60.0)
    assert time.monotonic() - began_s < 30
    process.communicate()
