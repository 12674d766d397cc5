"""Seconds of a device until energy per token is known to ±2 %: our protocol beside a fixed one."""

from __future__ import annotations

from benchmarks.record import Row, Section, ratio_interval
from llenergymeasure.testing.device_time import FIXED, OURS, compare

STUDIES = 60


def run() -> Section:
    ours, fixed = compare(OURS, STUDIES), compare(FIXED, STUDIES)
    ratio, low, high = ratio_interval([a / b for a, b in zip(ours.device_s, fixed.device_s, strict=True)])
    rows = [
        Row(
            "seconds to ±2 %",
            f"{sum(ours.device_s) / STUDIES:,.0f} s",
            f"{sum(fixed.device_s) / STUDIES:,.0f} s",
            f"{ratio:.2f} ({low:.2f} … {high:.2f})",
            "yes (≤ 0.5)" if high <= 0.5 else "no (≤ 0.5)",
        )
    ]
    for use in dict.fromkeys((*ours.seconds, *fixed.seconds)):
        rows.append(
            Row(f"of these: {use}", f"{ours.seconds.get(use, 0):,.0f} s", f"{fixed.seconds.get(use, 0):,.0f} s", "", "")
        )
    rows += [
        Row("cycles an experiment", f"{ours.cycles:.1f}", f"{fixed.cycles:.1f}", "", ""),
        Row(
            "intervals that hold the mean",
            f"{ours.covered:.1%}",
            f"{fixed.covered:.1%}",
            "",
            "yes (≥ 94 %)" if ours.covered >= 0.94 else "no (≥ 94 %)",
        ),
        Row("intervals within ±2 %", f"{ours.narrow:.0%}", f"{fixed.narrow:.0%}", "", ""),
    ]
    return Section(
        title="Device time to ±2 %",
        command="python -m benchmarks.run device_time",
        method=(
            f"{STUDIES} simulated studies of four experiments on a virtual H100 whose heat goes from trial to trial; processes differ by "
            "1.5 %. Fixed: 5 warm-up batches, 60 s of waiting, 60 s between trials, 300 s between cycles. Both have windows of 10 s and end by "
            "the same rule (Stein, 5 cycles first). Energy, steadiness and stopping come from the functions that make results."
        ),
        headings=("what", "ours", "fixed protocol", "ratio (95 % interval)", "met"),
        rows=tuple(rows),
    )
