"""What a study's size costs: the journal's cost of one trial at 10, 1,000 and 10,000 trials."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.record import Row, Section, ratio_interval
from llenergymeasure.study.journal import Journal

_SIZES = (10, 1_000, 10_000)
_TRIALS, _ROUNDS = 20, 15
_DEMAND = 1.2


def run() -> Section:
    """Journals of three lengths, written to in turn; ratios to the shortest within each round."""
    with tempfile.TemporaryDirectory() as folder:
        journals = {size: _journal(Path(folder), size) for size in _SIZES}
        seconds = {size: [0.0] * _ROUNDS for size in _SIZES}
        for turn in range(_ROUNDS):
            for size, journal in journals.items():
                seconds[size][turn] = _write(journal, size)
    rows = []
    for size in _SIZES[1:]:
        ratio, low, high = ratio_interval(
            [one / least for one, least in zip(seconds[size], seconds[_SIZES[0]], strict=True)]
        )
        per_trial_ms = 1e3 * min(seconds[size]) / _TRIALS
        met = "yes" if ratio <= _DEMAND else "no"
        rows.append(
            Row(
                f"{size:,} trials",
                f"{per_trial_ms:.2f} ms",
                f"≤ {_DEMAND} ×",
                f"{ratio:.2f} ({low:.2f} … {high:.2f})",
                met,
            )
        )
    method = (
        f"`running` and `completed` of {_TRIALS} further trials, each flushed to the disk, in a journal that holds so many already; "
        f"{_ROUNDS} rounds in turn, ratio to one of {_SIZES[0]} trials."
    )
    headings = ("journal of", "per trial (least)", "demand", "ratio (95 %)", "met")
    return Section("Journal cost", "python -m benchmarks.run study_overhead", method, headings, tuple(rows))


def _journal(folder: Path, trials: int) -> Journal:
    path = folder / f"{trials}.jsonl"
    one = Journal(folder / "one.jsonl")
    _write(one, 0, trials=1)
    line = (folder / "one.jsonl").read_text(encoding="utf-8")
    path.write_text(line * trials, encoding="utf-8")
    return Journal(path)


def _write(journal: Journal, first: int, trials: int = _TRIALS) -> float:
    begin = time.perf_counter()
    for trial in range(first + 1, first + trials + 1):
        name = f"{trial:03d}_simulated_b1_d7e4c1_c1"
        journal.running(trial, 1, name)
        journal.completed(trial, 1, name)
    return time.perf_counter() - begin
