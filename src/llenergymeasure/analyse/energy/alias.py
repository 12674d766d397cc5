"""What a sensor that does not look all the time may have missed.

Power that swings in steps of T, seen for w in each tick τ, is a sum of harmonics c_m of which w lets sinc(m·w/T) through. Over N
ticks the m-th adds up to |sin(πNmf)/(N·sin(πmf))| of itself, f = τ/T: all of it when step and tick are in lock, next to nothing
when they are not (this is the alias of sampling: A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 4.2). Harmonics
are taken to fall as 1/m, which is that of power that jumps. A sensor that looks all the time lets through none of those that
could add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llenergymeasure.analyse.energy.series import Floats

# The duty said of A100 and H100 boards (arXiv 2312.02741): what is assumed of a sensor whose duty is not known.
USUAL_DUTY = 0.25
# A power sensor that sees all time in pieces looks for this share of its tick at least.
_WHOLE = 0.999
_HARMONICS = np.arange(1, 41)
# Power that scatters by less looks constant: so does what swings in lock with the ticks.
_CONSTANT = 0.02
# More of the swing than this must be seen, or it is not known from what is seen.
_LEAST_SEEN = 0.02
# Steps of real work differ a little: of no harmonic more than this keeps time with the ticks.
_IN_TIME = 0.9
# Steps in a tick where that is not known.
_STEPS = 3
# Steps of which more than this share of the swing can add up keep pace with the ticks.
_HIDES = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """How a sensor looks: for ``seen_s`` in each ``tick_s``, a guess unless ``known``; its ticks are ``uneven_s`` apart."""

    seen_s: float
    tick_s: float
    known: bool
    uneven_s: float = 0.0

    @property
    def unseen(self) -> float:
        """The share of time at which it does not look."""
        return max(0.0, 1 - self.seen_s / self.tick_s)


def alias_w(look: Look, power_w: Floats, range_w: float, step_s: float | None) -> float:
    """Standard uncertainty of mean power by what was not seen between looks.

    ``power_w`` are the values of the window, ``range_w`` the most by which the sensor ever saw this board's power change, and
    ``step_s`` the time of one step of the work, ``None`` when it has none that is known. With ``step_s`` a lock is recognised,
    and then all the unseen part of ``range_w`` is possible: (1 − d)·range, rectangular. Without, it cannot be told from power
    that is constant, and is possible as well, unless values scatter. Of a sensor whose duty is a guess only scatter is counted.
    """
    if (look.known and look.seen_s == look.tick_s) or len(power_w) < 2:
        return 0.0
    # Half the mean square of differences: slow changes of power are not scatter (von Neumann 1941).
    scatter_w = math.sqrt(float(np.mean(np.diff(power_w) ** 2)) / 2)
    random_w = scatter_w * math.sqrt(look.unseen / len(power_w))
    if not look.known:
        return random_w
    most_w = look.unseen * range_w / math.sqrt(3)
    if step_s is None:
        hidden = look.unseen > 0 and scatter_w < _CONSTANT * float(power_w.mean())
        return most_w if hidden else math.hypot(random_w, _slow_w(power_w) if look.unseen > 0 else 0.0)
    shape = np.abs(np.sinc(_HARMONICS * look.seen_s / step_s)) / _HARMONICS
    beat2 = _beat2(look, len(power_w), step_s)
    if float((shape**2 * (1 - beat2)).sum()) < _LEAST_SEEN * float((shape**2).sum()):
        return most_w
    in_time = np.minimum(np.exp(-((2 * np.pi * _HARMONICS * look.uneven_s / step_s) ** 2) / 2), _IN_TIME)
    kept2 = in_time * beat2 + (1 - in_time) / len(power_w)
    all_w2, kept_w2 = float((shape**2).sum()), float((shape**2 * kept2).sum())
    spread_w = float(np.std(power_w))
    alias = spread_w * math.sqrt(kept_w2 / (all_w2 - kept_w2))
    return min(alias, most_w) if look.unseen > 0 else alias


def keeps_pace(look: Look, ticks: int, step_s: float | None) -> bool:
    """Whether steps could hide from a sensor of which nobody knows how long it looks: a good part of their swing adds up."""
    if look.known or step_s is None or ticks < 1:
        return False
    shape = np.sinc(_HARMONICS * look.seen_s / step_s) / _HARMONICS
    left2 = float((shape**2 * _beat2(look, ticks, step_s)).sum())
    return left2 > _HIDES**2 * float((1.0 / _HARMONICS**2).sum())


def _beat2(look: Look, ticks: int, step_s: float) -> Floats:
    """What is left of each harmonic's square over so many ticks: the mean of the squared sine over its envelope."""
    turn = np.abs(np.sin(np.pi * _HARMONICS * look.tick_s / step_s))
    # A step is never known to 1/N.
    return np.asarray(np.minimum(1.0, 0.5 / np.maximum(ticks * turn, 1e-12) ** 2))


def swing_w(power_w: Floats, tick_s: float, step_s: float | None) -> float:
    """By how much power swings within ticks that see all of it, from how much they differ.

    Steps of T make the energy of a tick deviate by √2·(swing·T/2)/√12 when their phase is random.
    """
    if len(power_w) < 2:
        return 0.0
    scatter_w = math.sqrt(float(np.mean(np.diff(power_w) ** 2)) / 2)
    return scatter_w * math.hypot(1.0, 2 * math.sqrt(6) * tick_s / (step_s or tick_s / _STEPS))


def _slow_w(power_w: Floats) -> float:
    """Standard error of the mean from √N batches: a slow beat of steps and ticks shows in them."""
    batches = int(math.sqrt(len(power_w)))
    if batches < 3:
        return 0.0
    whole = len(power_w) // batches * batches
    means_w = power_w[:whole].reshape(batches, -1).mean(axis=1)
    return float(np.std(means_w, ddof=1)) / math.sqrt(batches)
