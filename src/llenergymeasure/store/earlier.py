"""What earlier studies measured, for forecasts: the rows of their ``results.csv``."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from llenergymeasure.plan.forecast_time import EarlierTrial

_TABLE = "results.csv"
# The newest studies say most about the next one.
_MOST_STUDIES = 100
# The concurrency in the name of a trial's folder, see ``layout.trial_folder_name``.
_CONCURRENCY = re.compile(r"/\d+_.+_b(\d+)_[0-9a-f]{6}_c\d+(_a\d+)?$")


def earlier_trials(results_dir: Path) -> tuple[EarlierTrial, ...]:
    """All valid trials of the newest studies, the newest study first. A table that cannot be read is passed over."""
    try:
        tables = sorted(results_dir.glob(f"*/{_TABLE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return ()
    return tuple(trial for table in tables[:_MOST_STUDIES] for trial in _trials(table))


def _trials(table: Path) -> Iterator[EarlierTrial]:
    try:
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return
    for row in rows:
        trial = _trial(row)
        if trial is not None:
            yield trial


def _trial(row: dict[str, str]) -> EarlierTrial | None:
    """The trial in a row; ``None`` for one that is not valid or lacks a rate."""
    name = row.get("experiment_id") or ""
    concurrency = _CONCURRENCY.search(name)
    rate = _number(row.get("tokens_per_second"))
    if concurrency is None or not rate or row.get("valid") != "True":
        return None
    return EarlierTrial(
        study=name.partition("/")[0],
        model=row.get("model") or "",
        backend=row.get("backend") or "",
        precision=row.get("precision") or "",
        concurrency=int(concurrency[1]),
        tokens_per_second=rate,
        mean_power_w=_number(row.get("mean_power_w")),
        power_estimated=row.get("energy_estimated") == "True",
        load_s=_number(row.get("load_s")),
    )


def _number(text: str | None) -> float | None:
    """A number above 0."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
