"""Which processes are the measurement's own."""

from __future__ import annotations

import os
import subprocess
import sys

from llenergymeasure.energy.own_processes import OwnProcesses, cannot_tell

_WORKER, _CHILD, _OTHER, _HIDDEN = 100, 101, 200, 300


class _Table:
    """Ancestors by pid; a pid that is not in it cannot be seen."""

    def __init__(self) -> None:
        self.above: dict[int, list[int]] = {_WORKER: [1], _CHILD: [_WORKER, 1], _OTHER: [1]}

    def __call__(self, pid: int) -> list[int] | None:
        return self.above.get(pid)


def test_the_workers_tree_is_ours() -> None:
    """The worker and what descends from it; others are others, and one that cannot be seen is neither."""
    is_ours = OwnProcesses(lambda: _WORKER, _Table())
    assert [is_ours(pid) for pid in (_WORKER, _CHILD, _OTHER, _HIDDEN)] == [True, True, False, None]


def test_a_process_whose_parent_ended_stays_ours() -> None:
    """An engine's helper is adopted by somebody else."""
    table = _Table()
    is_ours = OwnProcesses(lambda: _WORKER, table)
    assert is_ours(_CHILD) is True
    table.above[_CHILD] = [1]
    assert is_ours(_CHILD) is True


def test_before_there_is_a_worker_everybody_is_another() -> None:
    """Nothing of ours can be on a device yet."""
    worker: list[int] = []
    is_ours = OwnProcesses(lambda: worker[0] if worker else None, _Table())
    assert is_ours(_CHILD) is False
    worker.append(_WORKER)
    assert is_ours(_CHILD) is True


def test_real_processes_are_looked_up() -> None:
    """A child of this process is ours where this is the worker, and another's where the child is."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert OwnProcesses(os.getpid)(child.pid) is True
        assert OwnProcesses(lambda: child.pid)(os.getpid()) is False
        child.communicate(b"\n")
    assert OwnProcesses(os.getpid)(2**22 + 1) is None


def test_where_nothing_is_known_nothing_is_told() -> None:
    """The default of a source that was given no worker."""
    assert cannot_tell(1) is None
