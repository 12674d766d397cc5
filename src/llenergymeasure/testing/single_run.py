"""One simulated trial: a counter and tokens whose joules per token are known, and the intervals that its slices give."""

from __future__ import annotations

import math
from array import array

import numpy as np
import numpy.typing as npt

from llenergymeasure.analyse.energy.slices import Slices, slices_of
from llenergymeasure.analyse.energy.uncertainty import Term
from llenergymeasure.analyse.energy.within_run import WithinRun
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Readings, Readout, Status
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.units import NS_PER_S, s_to_ns

Floats = npt.NDArray[np.float64]

TRUE_J = 0.05
_CHANNEL = Channel(0, "simulated", "gpu", "GPU", "a board", "counter", "J", 50.0, stated_error=0.05)
# The counter ticks ten times a second and each tick is known to two milliseconds; work changes from block to block.
_TICK_S, _BRACKET_S, _BLOCK_S, _TOKENS = 0.1, 0.002, 0.5, 100
_SPREAD = 0.03


def single_run(length_s: float, phi: float, gain: float, generator: np.random.Generator) -> Quantity:
    """Energy per token of a window, as a result has it.

    Power wanders from half second to half second by 3 %, as a first-order autoregression with ``phi``, and so does the rate of
    tokens, which come evenly within each. The counter shows ``gain`` times what it should.
    """
    blocks = round(length_s / _BLOCK_S)
    tokens = np.round(_TOKENS * (1 + _SPREAD * autoregression(blocks, phi, generator))).astype(np.int64)
    block_j = _TOKENS * TRUE_J * (1 + _SPREAD * autoregression(blocks, phi, generator)) * gain
    edges_s = np.arange(blocks + 1) * _BLOCK_S
    number = np.arange(int(tokens.sum())) - np.repeat(np.cumsum(tokens) - tokens, tokens)
    stamps_s = np.repeat(edges_s[:-1], tokens) + (number + 0.5) / np.repeat(tokens, tokens) * _BLOCK_S
    phase_s = generator.uniform(0, _TICK_S)
    tick_s = np.arange(phase_s - _TICK_S, length_s + 2 * _TICK_S, _TICK_S)
    counted_j = 1000 + np.interp(tick_s, edges_s, np.concatenate(([0.0], np.cumsum(block_j))))
    window = Interval(NS_PER_S, NS_PER_S + s_to_ns(length_s))
    stamps_ns = window.begin_ns + (stamps_s * NS_PER_S).astype(np.int64)
    found = slices_of(_readout(tick_s + 1.0, counted_j), (_CHANNEL,), window, stamps_ns)
    assert isinstance(found, Slices), found
    within = WithinRun(found, "", (Term("u_gain", 0.05 / math.sqrt(3)),), tokens_seen=True)
    per_token = Quantity(value=float(block_j.sum() / tokens.sum()), unit="J/token")
    return within.per_token(per_token)[0]


def autoregression(n: int, phi: float, generator: np.random.Generator) -> Floats:
    """Standard normal values, each alike to the one before by ``phi``."""
    noise = generator.normal(0, 1, n)
    for index in range(1, n):
        noise[index] = phi * noise[index - 1] + math.sqrt(1 - phi**2) * noise[index]
    return noise


def _readout(tick_s: Floats, counted_j: Floats) -> Readout:
    """Each tick read just before and just after."""
    t_s = np.stack((tick_s - _BRACKET_S / 2, tick_s + _BRACKET_S / 2), axis=1).ravel()
    value = np.stack((np.concatenate((counted_j[:1], counted_j[:-1])), counted_j), axis=1).ravel()
    none = array("q", bytes(8 * len(t_s)))
    readings = Readings(
        array("q", (t_s * NS_PER_S).astype(np.int64).tobytes()),
        none,
        none,
        array("d", value.tobytes()),
        array("q", [int(Status.OK)] * len(t_s)),
    )
    return Readout((_CHANNEL,), (), readings, ("GPU",))
