"""CPU time of a process tree."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.cpu_time import ProcessTable, ProcTable, PsutilTable, Times, TreeCpuTime, process_table
from llenergymeasure.testing.virtual_clock import VirtualClock


class FakeTable:
    """Processes as a test sets them: ``pid: (times, children)``."""

    def __init__(self) -> None:
        self.processes: dict[int, tuple[Times, tuple[int, ...]]] = {}

    def put(self, pid: int, own_s: float, reaped_s: float = 0.0, *children: int, started: float = 1) -> None:
        self.processes[pid] = (Times(started, own_s, reaped_s), children)

    def times(self, pid: int) -> Times | None:
        return self.processes[pid][0] if pid in self.processes else None

    def children(self, pid: int) -> Iterable[int]:
        return self.processes[pid][1] if pid in self.processes else ()


@pytest.fixture
def table() -> FakeTable:
    return FakeTable()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_the_whole_tree_counts(table: FakeTable, clock: VirtualClock) -> None:
    """Root, children and grandchildren are added, with what they used before they were first seen."""
    table.put(10, 1.0, 0.0, 11, 12)
    table.put(11, 2.0, 0.0, 13)
    table.put(12, 4.0)
    table.put(13, 8.0)
    table.put(99, 1000.0)
    assert TreeCpuTime(10, table, clock).seconds() == 15.0


def test_a_process_that_ends_and_was_waited_for_is_counted_once(table: FakeTable, clock: VirtualClock) -> None:
    """Its time moves into its parent's account of ended children; the sum grows only by what it used at the end."""
    table.put(10, 1.0, 0.0, 11)
    table.put(11, 5.0)
    tree = TreeCpuTime(10, table, clock)
    assert tree.seconds() == 6.0
    del table.processes[11]
    table.put(10, 1.0, 5.5)
    assert tree.seconds() == 6.5
    assert tree.seconds() == 6.5


def test_a_process_that_ends_outside_the_tree_keeps_its_time(table: FakeTable, clock: VirtualClock) -> None:
    """An orphan that somebody else waits for leaves what it had used."""
    table.put(10, 1.0, 0.0, 11)
    table.put(11, 5.0)
    tree = TreeCpuTime(10, table, clock)
    tree.seconds()
    del table.processes[11]
    table.put(10, 2.0)
    assert tree.seconds() == 7.0


def test_an_orphan_is_followed_until_it_ends(table: FakeTable, clock: VirtualClock) -> None:
    """A grandchild whose parent ended still counts, and so does what it starts, though none of it hangs below the root."""
    table.put(10, 1.0, 0.0, 11)
    table.put(11, 1.0, 0.0, 12)
    table.put(12, 1.0)
    tree = TreeCpuTime(10, table, clock)
    tree.seconds()
    del table.processes[11]
    table.put(10, 1.0, 1.0)
    table.put(12, 9.0, 0.0, 13)
    table.put(13, 4.0)
    clock.sleep(1.0)
    assert tree.seconds() == 15.0


def test_a_process_too_short_to_be_seen_is_in_its_parents_account(table: FakeTable, clock: VirtualClock) -> None:
    """What ended children used counts although no look ever found them."""
    table.put(10, 1.0)
    tree = TreeCpuTime(10, table, clock)
    tree.seconds()
    table.put(10, 1.0, 0.25)
    assert tree.seconds() == 1.25


def test_a_new_process_with_an_old_pid_is_not_mistaken(table: FakeTable, clock: VirtualClock) -> None:
    """When a pid is used again, the new process's time is not taken for growth of the old one."""
    table.put(10, 1.0, 0.0, 11)
    table.put(11, 5.0)
    tree = TreeCpuTime(10, table, clock)
    tree.seconds()
    table.put(10, 1.0, 5.0)
    table.put(11, 100.0, started=2)
    assert tree.seconds() == 6.0


def test_the_sum_stays_when_all_have_ended(table: FakeTable, clock: VirtualClock) -> None:
    """After the worker is gone its CPU time is still what it was."""
    table.put(10, 3.0)
    tree = TreeCpuTime(10, table, clock)
    assert tree.seconds() == 3.0
    table.processes.clear()
    clock.sleep(5.0)
    assert tree.seconds() == 3.0


def test_a_root_that_was_never_there_has_no_time(table: FakeTable, clock: VirtualClock) -> None:
    """A process that cannot be read is not known to have used nothing."""
    assert TreeCpuTime(10, table, clock).seconds() is None


@pytest.mark.parametrize("kind", [ProcTable, PsutilTable])
def test_a_real_tree_is_found_and_its_time_is_kept(kind: type[ProcessTable]) -> None:
    """A child's child that burns 0.2 s of CPU is counted while it lives and after it was waited for."""
    if kind is ProcTable and not isinstance(process_table(), ProcTable):
        pytest.skip("this kernel keeps no lists of children")
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint(1, flush=True)\ninput()"
    parent = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', {burn!r}])\n"
        "p.wait(); print(2, flush=True); input()"
    )
    root = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert root.stdin is not None and root.stdout is not None
    tree = TreeCpuTime(root.pid, kind(), MonotonicClock())
    root.stdout.readline()
    alive = tree.seconds()
    root.stdin.write("\n")
    root.stdin.flush()
    root.stdout.readline()
    ended = tree.seconds()
    root.communicate("\n")
    assert alive is not None and ended is not None
    # Two accounts, each cut to whole hundredths of a second.
    assert 0.17 <= alive <= ended < 2.0
    assert tree.seconds() == ended
