"""The table of rated power."""

from __future__ import annotations

import pytest

from llenergymeasure.data.cpu_power import part_name, rated_power


@pytest.mark.parametrize(
    ("as_the_system_says", "part", "tdp_w", "logical_cpus"),
    [
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763", 280, 128),
        ("Intel(R) Xeon(R) Platinum 8480+", "Intel Xeon Platinum 8480+", 350, 112),
        ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "Intel Xeon E5-2680 v4", 120, 28),
        ("12th Gen Intel(R) Core(TM) i7-1260P", "Intel Core i7-1260P", 28, 16),
        ("AMD Ryzen 9 7950X 16-Core Processor", "AMD Ryzen 9 7950X", 170, 32),
        ("AMD Ryzen 7 7840U w/ Radeon 780M Graphics", "AMD Ryzen 7 7840U", 28, 16),
        ("Intel(R) Core(TM) Ultra 7 155H", "Intel Core Ultra 7 155H", 28, 22),
        ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", "AMD Ryzen Threadripper PRO 5995WX", 280, 128),
    ],
)
def test_a_part_is_found_by_the_name_that_the_system_gives(
    as_the_system_says: str, part: str, tdp_w: float, logical_cpus: int
) -> None:
    """Marks, generations, core counts, graphics and clocks in a CPU's name do not hide it."""
    found = rated_power(as_the_system_says)
    assert found is not None
    assert (found.name, found.tdp_w, found.logical_cpus) == (part, tdp_w, logical_cpus)
    assert found.source


@pytest.mark.parametrize(
    "name", ["Intel(R) Xeon(R) Processor @ 2.60GHz", "Intel(R) Xeon(R) Platinum 8581C", "AMD EPYC", "x86_64", ""]
)
def test_a_name_that_a_cloud_made_up_is_not_guessed(name: str) -> None:
    """Names that are no published part are unknown."""
    assert rated_power(name) is None


def test_every_part_of_the_table_is_written_as_the_look_up_spells_it() -> None:
    """No entry is unreachable, and each has a plausible power for its size."""
    from llenergymeasure.data import cpu_power

    table = cpu_power._table()
    assert len(table) > 100
    for name, part in table.items():
        assert part_name(name) == name
        assert 0 < part.tdp_w <= part.limit_w
        assert 0.5 <= part.tdp_w / part.logical_cpus <= 16
