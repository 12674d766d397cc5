"""What a benchmark gives, and how it is written down."""

from __future__ import annotations

import math
import platform
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line: what, ours, the other or the demand, the ratio or difference with its interval, and whether it is met."""

    what: str
    ours: str
    other: str
    ratio: str
    met: str


@dataclass(frozen=True)
class Section:
    """One benchmark's page: the command that gives it, how it was done, and its rows."""

    title: str
    command: str
    method: str
    headings: tuple[str, str, str, str, str]
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        """The section as Markdown."""
        lines = [
            f"## {self.title}",
            "",
            f"`{self.command}`",
            "",
            self.method,
            "",
            "| " + " | ".join(self.headings) + " |",
        ]
        lines.append("|---|---:|---:|---:|---|")
        lines += [f"| {row.what} | {row.ours} | {row.other} | {row.ratio} | {row.met} |" for row in self.rows]
        return "\n".join(lines) + "\n"


def machine() -> str:
    """The kind of machine, without its name."""
    from llenergymeasure.machine.snapshot import cpu_model, visible_cpus

    return f"{cpu_model()}, {visible_cpus()} CPUs, {platform.system()}, Python {platform.python_version()}"


def median_interval(values: Sequence[float], draws: int = 4000) -> tuple[float, float, float]:
    """(median, low, high): 95 % percentile bootstrap, seeded; for ten values or more."""
    source = random.Random(0)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(draws))
    return statistics.median(values), medians[int(0.025 * draws)], medians[int(0.975 * draws)]


def ratio_interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """(geometric mean, low, high): 95 % interval by Student's t on the logarithms; for few values, two or more."""
    from scipy.special import stdtrit

    logs = [math.log(ratio) for ratio in ratios]
    centre = statistics.mean(logs)
    reach = float(stdtrit(len(logs) - 1, 0.975)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(centre), math.exp(centre - reach), math.exp(centre + reach)
