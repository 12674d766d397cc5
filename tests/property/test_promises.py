"""The demands on intervals and verdicts, simulated from fixed seeds as by ``python -m benchmarks.run coverage``."""

from __future__ import annotations

import pytest

from llenergymeasure.testing.coverage import Promise, promises

_RUNS = 2000
# Two standard errors of a share near 5 % in so many runs: other releases of NumPy may draw other numbers from a seed.
_ROOM = 0.01


@pytest.mark.parametrize(("seed", "promise"), list(enumerate(promises())), ids=lambda value: getattr(value, "what", ""))
def test_the_share_is_as_demanded(seed: int, promise: Promise) -> None:
    """An interval holds the truth as often as it says, and a verdict is wrong as rarely, right as often."""
    assert promise.low - _ROOM <= promise.share(_RUNS, seed) <= promise.high + _ROOM


def test_the_seed_decides_the_share() -> None:
    """The same runs give the same share, others another."""
    promise = next(promises())
    assert promise.share(200, 1) == promise.share(200, 1)
    assert len({promise.share(200, seed) for seed in range(5)}) > 1
