"""Do intervals cover what they say, and are verdicts wrong as rarely as they say? By simulation, seeds fixed."""

from __future__ import annotations

import math

from benchmarks.record import Row, Section
from llenergymeasure.testing.coverage import Promise, promises

RUNS = 2000


def run() -> Section:
    rows = tuple(_row(promise, seed) for seed, promise in enumerate(promises()))
    met = sum(row.met == "yes" for row in rows)
    return Section(
        title="Intervals and verdicts",
        command="python -m benchmarks.run coverage",
        method=(
            f"{RUNS:,} simulated runs a row, from fixed seeds, through the functions that make results; {met} of {len(rows)} met. "
            "Cycles are log-normal; pairs share a drift of 5 %; “told apart” is a verdict *better* or *worse* where both are equal, "
            "against the best as the same data choose it."
        ),
        headings=("what", "share", "demanded", "95 % interval of the share", "met"),
        rows=rows,
    )


def _row(promise: Promise, seed: int) -> Row:
    share = promise.share(RUNS, seed)
    half = 1.96 * math.sqrt(share * (1 - share) / RUNS)
    if promise.low == 0:
        demanded = f"≤ {promise.high:.1%}"
    elif promise.high == 1:
        demanded = f"≥ {promise.low:.1%}"
    else:
        demanded = f"{promise.low:.1%} … {promise.high:.1%}"
    met = "yes" if promise.low <= share <= promise.high else "no"
    return Row(promise.what, f"{share:.1%}", demanded, f"{max(share - half, 0):.1%} … {min(share + half, 1):.1%}", met)
