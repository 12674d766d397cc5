"""What a count shows beside an edge: the line through the ticks next to it, drawn on to the edge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llenergymeasure.analyse.energy.series import Floats, Ints
from llenergymeasure.analyse.energy.ticks import Ticks
from llenergymeasure.analyse.statistics import t_975
from llenergymeasure.units import NS_PER_S

# As many ticks as lie within this time, and at least and at most so many.
_LONGEST_S, _FEWEST, _MOST = 0.7, 3, 50
# A distance of two ticks whose power differs by more than its scatter allows, so many times, belongs to other work.
_OTHER, _SAME = 4.0, 0.01
# Noise adds up from tick to tick, and is looked for over so many of them at once.
_BLOCKS = (1, 4)
# What brackets explain of it may be no more than this share.
_EXPLAINED = 0.8
# Of scatter at least this share is taken to be seen; a bend is looked for in so many ticks.
_LEAST_SEEN, _BENT = 0.1, 6
_NORMAL = t_975(math.inf)


@dataclass(frozen=True, slots=True)
class Line:
    """Steady power beside an edge: the count at the edge, its standard uncertainty, and the slope of the count there."""

    edge_j: float
    u_j: float
    power_w: float


def before(ticks: Ticks, counted_j: Floats, at: int, edge_ns: int, step_s: float | None = None) -> Line | None:
    """From tick number ``at`` backwards, drawn on to the edge; ``None`` when too few ticks are known there.

    ``step_s`` is the time of one step of the work, where it is known.
    """
    chosen = slice(max(0, at - _MOST), at + 1)
    return _line(ticks.t_ns[chosen][::-1], counted_j[chosen][::-1], ticks.width_s[chosen][::-1], edge_ns, step_s)


def after(ticks: Ticks, counted_j: Floats, at: int, edge_ns: int, step_s: float | None = None) -> Line | None:
    """From tick number ``at`` onwards, drawn back to the edge."""
    chosen = slice(at, at + _MOST + 1)
    return _line(ticks.t_ns[chosen], counted_j[chosen], ticks.width_s[chosen], edge_ns, step_s)


def noise_j(t_ns: Ints, counted_j: Floats, width_s: Floats) -> float | None:
    """By how much noise lets the count err in one tick, from ticks beside a window; ``None`` when these are too few.

    It is what differs from one block of ticks to the next, less the trend and less what comes of the brackets of its three edges:
    of single ticks, which are many, or of longer blocks, of which brackets are a smaller part; whichever shows more.
    """
    found = [one for block in _BLOCKS if (one := _noise_j(t_ns, counted_j, width_s, block)) is not None]
    return max(found, default=None)


def _noise_j(t_ns: Ints, counted_j: Floats, width_s: Floats, block: int) -> float | None:
    lengths_s = (t_ns[block:] - t_ns[:-block]) / NS_PER_S
    power_w = (counted_j[block:] - counted_j[:-block]) / lengths_s
    changes_w = power_w[block:] - power_w[:-block]
    # Of overlapping blocks about so many are independent.
    free = 1.5 * len(changes_w) / block
    if free < 1.5:
        return None
    block_j2 = float(np.var(changes_w)) * float(lengths_s.mean()) ** 2 / 2
    bracket_j2 = 3 * (float(power_w.mean()) * float(np.median(width_s))) ** 2 / 12
    noise_j2 = max(block_j2 - bracket_j2, (1 - _EXPLAINED) * block_j2) / block
    return math.sqrt(noise_j2) * t_975(free) / _NORMAL


def _line(t_ns: Ints, counted_j: Floats, width_s: Floats, edge_ns: int, step_s: float | None) -> Line | None:
    """A weighted straight line through ticks in order of their distance to the edge.

    Power that swings in steps, at random against the ticks, makes the count deviate from the line at each tick, and as much at
    the edge: what brackets do not explain of the scatter is the edge's own. The line's part is that of any
    regression (JCGM 100:2008, H.3). For few ticks both are made larger (t for z). Where the line is bent, as power drifts, what
    the bend makes of the edge is added.
    """
    if len(t_ns) <= _FEWEST:
        return None
    at_s = (t_ns - t_ns[0]) / NS_PER_S
    count = _steady(np.abs(at_s), counted_j, width_s) + 1
    base_j = float(counted_j[0])
    at_s, counted_j, width_s = at_s[:count], counted_j[:count] - base_j, width_s[:count]
    weight = 1 / (width_s**2 + float(np.median(width_s)) ** 2 + 1e-12)
    weight /= weight.sum()
    middle_s, middle_j = float(weight @ at_s), float(weight @ counted_j)
    spread_s2 = float(weight @ (at_s - middle_s) ** 2)
    power_w = float(weight @ ((at_s - middle_s) * (counted_j - middle_j))) / spread_s2
    off_j = counted_j - middle_j - power_w * (at_s - middle_s)
    scatter_j2 = float(weight @ off_j**2) * count / (count - 2)
    bracket_j2 = float(weight @ (power_w * width_s) ** 2) / 12
    to_edge_s = (edge_ns - int(t_ns[0])) / NS_PER_S - middle_s
    line_j2 = max(scatter_j2, bracket_j2) * (float((weight**2).sum()) + to_edge_s**2 / spread_s2 / count)
    own_j2 = max(scatter_j2 - bracket_j2, 0.0) / _seen(count, float(np.median(np.abs(np.diff(at_s)))), step_s)
    bend_j = _bend_j(at_s - middle_s, off_j, to_edge_s, max(scatter_j2, bracket_j2))
    u_j = math.hypot(math.sqrt(line_j2 + own_j2) * t_975(count - 2) / _NORMAL, bend_j)
    return Line(base_j + middle_j + power_w * to_edge_s, u_j, power_w)


def _seen(count: int, apart_s: float, step_s: float | None) -> float:
    """The share of the scatter that power in steps causes which ticks at these distances show.

    Nearly in lock they beat so slowly that a line takes it in.
    """
    if step_s is None:
        return 1.0
    turn = abs(math.sin(math.pi * apart_s / step_s))
    return max(1 - min(1.0, 2 / max(count * turn, 1e-9)) ** 2, _LEAST_SEEN)


def _bend_j(at_s: Floats, off_j: Floats, edge_s: float, scatter_j2: float) -> float:
    """What the second-order term of the ticks makes of the edge, where it is more than their scatter makes of it."""
    bent = at_s**2 - float((at_s**2).mean()) - at_s * float((at_s**3).sum() / (at_s**2).sum())
    norm = float((bent**2).sum())
    if len(at_s) < _BENT or norm == 0:
        return 0.0
    bend = float(bent @ off_j) / norm
    if bend**2 < 4 * scatter_j2 / norm:
        return 0.0
    at_edge = edge_s**2 - float((at_s**2).mean()) - edge_s * float((at_s**3).sum() / (at_s**2).sum())
    return abs(bend * at_edge)


def _steady(at_s: Floats, counted_j: Floats, width_s: Floats) -> int:
    """How many distances of two ticks are of one power, the nearest three in any case."""
    lengths_s = np.diff(at_s)
    power_w = np.abs(np.diff(counted_j)) / lengths_s
    near = max(_FEWEST, int((at_s[1:] <= _LONGEST_S).sum()))
    power_w = power_w[:near]
    bracket_s = (np.sqrt((width_s[1:] ** 2 + width_s[:-1] ** 2) / 12) / lengths_s)[:near]
    count = np.arange(1, near + 1)
    mean_w = np.cumsum(power_w) / count
    scatter_w2 = np.maximum(np.cumsum(power_w**2) / count - mean_w**2, 0.0) * count / np.maximum(count - 1, 1)
    allowed_w = _OTHER * np.sqrt(scatter_w2[:-1] + (mean_w[:-1] * bracket_s[1:]) ** 2) + _SAME * mean_w[:-1]
    other = np.flatnonzero(np.abs(power_w[1:] - mean_w[:-1]) > allowed_w) + 1
    other = other[other >= _FEWEST]
    return int(other[0]) if len(other) else near
