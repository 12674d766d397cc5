"""How terms make an interval, and how the terms of several energies make those of their sum."""

from __future__ import annotations

import math

import pytest

from llenergymeasure.analyse.energy.uncertainty import Term, absolute, half_width, most_is_alias, of_sum, repeatability
from llenergymeasure.analyse.statistics import Z_975, t_975

_GAIN, _EDGE = Term("u_gain", 0.029), Term("u_edge", 0.004)


def test_no_term_is_no_width() -> None:
    """What is exact has an interval of one point."""
    assert half_width(()) == 0.0
    assert half_width((Term("u_gain", 0.0),)) == 0.0


def test_terms_of_many_degrees_of_freedom_are_normal() -> None:
    """The root of the squares times 1.96."""
    assert half_width((_GAIN, _EDGE)) == pytest.approx(Z_975 * math.hypot(0.029, 0.004))


def test_degrees_of_freedom_are_those_of_welch_and_satterthwaite() -> None:
    """One term alone keeps its own; beside larger ones that are known they hardly matter."""
    spread = Term("s_slices", 0.01, "A", 9)
    assert half_width((spread,)) == pytest.approx(t_975(9) * 0.01)
    both = half_width((spread, Term("u_edge", 0.01)))
    assert both == pytest.approx(t_975(4 * 9) * math.hypot(0.01, 0.01))
    assert half_width((spread, Term("u_edge", 1.0))) == pytest.approx(Z_975, rel=1e-3)


def test_gain_is_in_the_absolute_interval_only() -> None:
    """Two configurations on one board share it."""
    own, whole = repeatability(100.0, (_GAIN, _EDGE)), absolute(100.0, (_GAIN, _EDGE))
    assert own.high - 100 == pytest.approx(Z_975 * 0.4)
    assert 100 - whole.low == pytest.approx(100 * half_width((_GAIN, _EDGE)))


def test_boards_share_their_gain_and_nothing_else() -> None:
    """Of two equal boards the gain stays what it is; edges become 1/√2 of it."""
    gain, edge = of_sum([(50.0, (_GAIN, _EDGE)), (50.0, (_GAIN, _EDGE))])
    assert gain == Term("u_gain", pytest.approx(0.029))
    assert edge == Term("u_edge", pytest.approx(0.004 / math.sqrt(2)))


def test_terms_of_a_part_count_by_its_share() -> None:
    """What one part alone has weighs as its energy does, and the fewest degrees of freedom count."""
    first, second = Term("u_idle", 0.02, "A", 4), Term("u_idle", 0.01, "A", 9)
    (found,) = of_sum([(25.0, (first,)), (75.0, (second,))])
    assert found == Term("u_idle", pytest.approx(math.hypot(0.005, 0.0075)), "A", 4)
    assert of_sum([(25.0, (first,)), (75.0, ())])[0].relative == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("alias", "edge", "told"),
    [(0.02, 0.004, True), (0.002, 0.004, False), (0.001, 0.0, False), (0.0, 0.0, False)],
    ids=["dominates", "other terms are larger", "too small to matter", "none"],
)
def test_aliasing_is_told_where_it_dominates(alias: float, edge: float, told: bool) -> None:
    """More than all else of the repeatability together, and more than half a per cent; the gain does not count."""
    found = most_is_alias((_GAIN, Term("u_edge", edge), Term("u_alias", alias)))
    assert (found is not None) is told
    assert found is None or found == pytest.approx(Z_975 * alias)
