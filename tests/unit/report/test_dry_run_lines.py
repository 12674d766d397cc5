from __future__ import annotations

from typing import Any

import pytest

from llenergymeasure.report.dry_run import dry_run_lines
from llenergymeasure.schema.dry_run import (
    DryRun,
    EngineOutlook,
    MemoryOutlook,
    PlannedPoint,
    TimeOutlook,
    TotalsOutlook,
)
from llenergymeasure.schema.numbers import duration
from llenergymeasure.schema.skipped import SkippedPoint


def _point(**changes: Any) -> PlannedPoint:
    fields: dict[str, Any] = {
        "label": "m / pytorch / bf16 / 8 parallel",
        "measurement_config_hash": "0" * 16,
        "environment": None,
        "varied": {},
        "backend": "pytorch",
        "precision": "bf16",
        "device": "cpu",
        "concurrency": 8,
        "prompts": "as asked for",
        "memory": MemoryOutlook(verdict="tight", peak_bytes=950 * 2**20, available_bytes=1000 * 2**20),
        "time": TimeOutlook(seconds=200, joules=12_000, basis="study one: 100 tokens/s", guessed=False),
    }
    return PlannedPoint(**fields | changes)


def _plan(*points: PlannedPoint, **changes: Any) -> DryRun:
    fields: dict[str, Any] = {
        "name": "grid",
        "generated": 4,
        "merged": 1,
        "skipped": (SkippedPoint(label="precision=fp16", reason="not on a CPU"),),
        "points": points,
        "cycles": 2,
        "cycle_order": "shuffled",
        "order_seed": 7,
        "order": ((1, 0), (0, 0), (0, 1), (1, 1)),
        "energy": "estimate, a CPU (package): estimated from CPU time",
        "engines": (EngineOutlook(backend="pytorch", installed=True, detail="transformers 5.23.0"),),
        "totals": TotalsOutlook(seconds=7200, joules=48_000, untimed_trials=0, trials_without_joules=0),
        "notices": ("where n < 3: 2 points left out",),
        "problems": ("vllm: vllm is not installed here",),
    }
    return DryRun(**fields | changes)


def test_a_dry_run_says_what_would_run() -> None:
    """Counts, engines, energy, each experiment with its forecasts, order, what is skipped, and totals."""
    unknown = MemoryOutlook(verdict="unknown", reason="latent attention")
    guess = TimeOutlook(seconds=3, joules=None, basis="a guess", guessed=True, joules_reason="no power was read")
    text = "\n".join(dry_run_lines(_plan(_point(), _point(memory=unknown, time=guess))))
    for part in (
        "grid: 2 experiments × 2 cycles = 4 trials",
        "4 generated, 1 skipped, 1 merged",
        "Note      where n < 3: 2 points left out",
        "pytorch: transformers 5.23.0",
        "estimate, a CPU (package)",
        "950 MiB",
        "1,000 MiB",
        "tight",
        "3 min 20 s",
        "12.0 kJ",
        "unknown",
        "b (guess)",
        "Basis a   study one: 100 tokens/s",
        "No memory forecast: latent attention",
        "No energy forecast: no power was read",
        "shuffled, seed 7",
        "cycle 1   2 1",
        "cycle 2   1 2",
        "Skipped   precision=fp16: not on a CPU",
        "Problem   vllm: vllm is not installed here",
        "Total     2 h 0 min, 48.0 kJ",
    ):
        assert part in text, part


def test_totals_say_what_is_not_in_them() -> None:
    """Trials without a forecast are named beside the sums."""
    part = TotalsOutlook(seconds=60, joules=1000, untimed_trials=2, trials_without_joules=1)
    assert list(dry_run_lines(_plan(_point(), totals=part)))[-1] == (
        "Total     1 min 0 s, 2 trials without a forecast not among them, 1.00 kJ (without 1 trial)"
    )
    none = TotalsOutlook(seconds=None, joules=None, untimed_trials=2, trials_without_joules=2)
    assert list(dry_run_lines(_plan(_point(), totals=none)))[-1] == "Total     no time forecast, no energy forecast"


def test_a_long_order_is_cut_and_says_so() -> None:
    """The first two hundred trials show how they are mixed."""
    order = tuple((place, 0) for place in range(300))
    (line,) = (line for line in dry_run_lines(_plan(_point(), order=order)) if line.startswith("Order"))
    assert line.endswith("the first 200")


def test_every_basis_has_letters_of_its_own() -> None:
    """After z comes aa."""
    points = [
        _point(time=TimeOutlook(seconds=1, joules=1, basis=f"basis {number}", guessed=False)) for number in range(28)
    ]
    lines = list(dry_run_lines(_plan(*points)))
    assert "Basis z   basis 25" in lines
    assert "Basis aa   basis 26" in lines
    assert "Basis ab   basis 27" in lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.9, "1 min 0 s"),
        (3599.9, "1 h 0 min"),
        (3660, "1 h 1 min"),
        (86399, "1 d 0 h"),
        (200_000, "2 d 8 h"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    """Rounded once, never to sixty of the smaller unit."""
    assert duration(seconds) == text


def _limited(seconds: float | None) -> PlannedPoint:
    return _point(time=TimeOutlook(seconds=200, joules=None, basis="b", guessed=False, limit_seconds=seconds))


def _limit_line(*points: PlannedPoint) -> str:
    return next((line for line in dry_run_lines(_plan(*points)) if line.startswith("Limit")), "")


def test_when_a_trial_is_given_up() -> None:
    """One time, or from the shortest to the longest, and for how many there is none."""
    assert "given up 10 min 0 s after loading" in _limit_line(_limited(600), _limited(600))
    line = _limit_line(_limited(1200), _limited(600), _limited(None))
    assert "10 min 0 s to 20 min 0 s" in line and "no limit for 1 experiment" in line
    assert _limit_line(_limited(None)) == ""
