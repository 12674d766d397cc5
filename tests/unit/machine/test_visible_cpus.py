"""How many CPUs there are for this process."""

import os

import pytest

from llenergymeasure.machine.snapshot import visible_cpus

ALLOWED = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("max 100000\n", ALLOWED),
        ("99999900000 100000\n", ALLOWED),
        ("nonsense\n", ALLOWED),
        ("100000 0\n", ALLOWED),
    ],
)
def test_a_containers_quota_is_a_limit(tmp_path, text, cpus):
    """Its share of time, rounded up, and never more than the CPUs that the process may run on."""
    (tmp_path / "cpu.max").write_text(text)
    assert visible_cpus(tmp_path) == cpus


def test_the_older_kind_of_control_group(tmp_path):
    """Two files; -1 is no limit."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert visible_cpus(tmp_path) == ALLOWED
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert visible_cpus(tmp_path) == 1


def test_without_control_groups_the_affinity_counts(tmp_path):
    """Where nothing says otherwise."""
    assert visible_cpus(tmp_path) == ALLOWED
