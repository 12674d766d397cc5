"""Expansion of a study of 1,000, 10,000 and 100,000 points: CPU time, memory and how they grow.

Each size runs in processes of its own; the times of three are taken in turn, memory is the growth of the process's peak.
"""

from __future__ import annotations

import itertools
import json
import math
import resource
import statistics
import subprocess
import sys
import time

from benchmarks.record import Row, Section

_ROUNDS = 3
_LIMITS_S = {1_000: 0.1, 10_000: 0.6, 100_000: 6.0}
_MOST_MIB = 150.0
_SHAPES = ("spread", "one section", "filtered")


def study(shape: str, points: int):
    """A study of so many points: ten values of everything else, and one long axis."""
    from llenergymeasure.config.study import StudyConfig

    long = points // 100
    spread = {"n": tuple(range(1, 11)), "pytorch.batch_size": tuple(range(1, 11)), "random_seed": tuple(range(long))}
    nested = {
        "decoder.max_new_tokens": tuple(range(100, 110)),
        "decoder.min_new_tokens": tuple(range(1, 11)),
        "decoder.repetition_penalty": tuple(1 + step / long for step in range(long)),
    }
    return StudyConfig(
        name="grid",
        backends=("pytorch",),
        fixed={"model": "m", "precision": "bf16", "decoder": {"ignore_eos": True}},
        sweep=nested if shape == "one section" else spread,
        where=("pytorch.batch_size * decoder.max_new_tokens <= 1000",) if shape == "filtered" else (),
    )


def measure(shape: str, points: int) -> dict[str, float]:
    """In this process: seconds of CPU, MiB of growth, and what came of it."""
    study(shape, 100).expansion  # noqa: B018 - what is imported or compiled once is no part of it
    made = study(shape, points)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    expansion = made.expansion
    seconds = time.process_time() - begin
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    kept, left_out = len(expansion.points), sum(expansion.filtered.values())
    assert kept + left_out == points
    begin = time.process_time()
    for index in range(0, kept, max(1, kept // 100)):
        assert expansion.points[index].config.model == "m"
    build = (time.process_time() - begin) / len(range(0, kept, max(1, kept // 100)))
    return {"seconds": seconds, "mib": grown, "build_us": 1e6 * build}


def run() -> Section:
    """Three shapes: fields far apart, all in one section (nothing can be reused), and with a filter."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(_ROUNDS):
        for shape in _SHAPES:
            for points in _LIMITS_S:
                command = [sys.executable, "-m", "benchmarks.expansion", shape, str(points)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.setdefault((shape, points), []).append(json.loads(done.stdout))
    rows = []
    for shape in _SHAPES:
        seconds = {points: statistics.median(one["seconds"] for one in found[shape, points]) for points in _LIMITS_S}
        sizes = list(_LIMITS_S)
        exponents = {
            after: math.log(seconds[after] / seconds[before]) / math.log(after / before)
            for before, after in itertools.pairwise(sizes)
        }
        for points, limit in _LIMITS_S.items():
            most = max(one["seconds"] for one in found[shape, points])
            mib = max(one["mib"] for one in found[shape, points])
            growth = f"{exponents[points]:.2f}" if points in exponents else "–"
            met = most <= limit and mib <= _MOST_MIB
            rows.append(
                Row(
                    f"{points:,}, {shape}",
                    f"{seconds[points]:.3f} s",
                    f"{mib:.0f} MiB",
                    growth,
                    f"{'yes' if met else 'no'} (≤ {limit:g} s, ≤ {_MOST_MIB:.0f} MiB)",
                )
            )
    build = statistics.median(one["build_us"] for many in found.values() for one in many)
    method = (
        f"CPU time of `StudyConfig.expansion`, median of {_ROUNDS} fresh processes; memory: growth of the peak, the largest of them. "
        "*spread*: three axes in three places; *one section*: three axes in `decoder`, where no point shares a section with "
        "another; *filtered*: as spread, with a filter over two fields. Growth is the exponent of time over points from the size "
        f"before. Building the configuration of one point, when it is asked for, takes {build:.0f} µs."
    )
    headings = ("points", "time", "memory", "growth", "met")
    return Section("Expansion of studies", "python -m benchmarks.run expansion", method, headings, tuple(rows))


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
