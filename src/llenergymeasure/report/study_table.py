"""A study's result for a terminal: what varies, what it costs, which is best, what cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llenergymeasure.report.table import Column, render
from llenergymeasure.schema.numbers import (
    MISSING,
    bounds,
    mebibytes,
    plus_minus,
    prefix_for,
    three_digits,
    with_unit,
)
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.study import Aggregate, StudyResult

_RANKED_BY = {"energy_per_output_token_j": "energy per output token", "tokens_per_second": "tokens per second"}


def study_lines(study: StudyResult, width: int | None = None) -> Iterator[str]:
    """The lines that end ``llem run`` of a study."""
    rows = [aggregate for aggregate in study.aggregates if aggregate.n]
    if rows:
        yield from render(*_table(rows), width)
        yield ""
        yield from _finding(study, rows)
    for point in study.skipped:
        yield f"Skipped  {point.label}: {point.reason}"
    for trial in study.failed:
        yield f"Failed   {trial.label}: {trial.kind}: {trial.message}"
        if trial.hint:
            yield f"         {trial.hint}"
    if study.merged:
        yield f"Merged   {study.merged} equal points"
    if study.outcome == "interrupted" or study.ran + len(study.failed) < study.planned:
        yield f"Not run  {study.planned - study.ran - len(study.failed)} of {study.planned} trials"


def _table(rows: Sequence[Aggregate]) -> tuple[list[Column], list[list[str]]]:
    keys = list(dict.fromkeys(key for row in rows for key in row.varied))
    keys = [key for key in keys if len({repr(row.varied.get(key)) for row in rows}) > 1]
    scoped = [key for key in keys if key != "backend" and any(key not in row.varied for row in rows)]
    shared = [key for key in keys if key not in scoped]
    energies = [row.energy_per_output_token_j for row in rows]
    scale, prefix = _common_prefix(energies)
    estimated = any(energy.estimated for energy in energies)
    columns = [Column("")]
    columns += [Column(key) for key in shared] + ([Column("options")] if scoped else [])
    if not keys:
        columns.append(Column("experiment"))
    columns.append(Column(f"{prefix}J/token" + (" (estimated)" if estimated else ""), right=True))
    columns += [Column("W", right=True), Column("tokens/s", right=True), Column("TTFT ms", right=True)]
    columns += [Column("memory", right=True), Column("n", right=True), Column("compared with the best")]
    cells = []
    for row in rows:
        line = ["★" if row.best else ""]
        line += [_value(row.varied.get(key, MISSING)) for key in shared]
        if scoped:
            line.append(
                ", ".join(f"{key.partition('.')[2]}={_value(row.varied[key])}" for key in scoped if key in row.varied)
            )
        if not keys:
            line.append(row.label)
        line += [
            _quantity(row.energy_per_output_token_j, scale),
            _quantity(row.mean_power_w),
            _rate(row.tokens_per_second),
        ]
        line.append(MISSING if row.ttft_ms_p50 is None else three_digits(row.ttft_ms_p50))
        line += [mebibytes(row.memory_bytes), str(row.n), _verdict(row)]
        cells.append(line)
    return columns, cells


def _finding(study: StudyResult, rows: Sequence[Aggregate]) -> Iterator[str]:
    best = study.best
    if best is None:
        yield "No experiment could be ranked: none has a valid result."
        return
    what = _RANKED_BY[study.ranked_by or "tokens_per_second"]
    if len(rows) > 1:
        yield f"Best by {what}: {best.label}  ({_headline(best, study.ranked_by)})"
        for verdict, words in (
            ("equivalent", "within 2 % of it"),
            ("undecided", "cannot be told apart from it with this many cycles"),
        ):
            same = [row.label for row in rows if row.verdict == verdict]
            if same:
                yield f"  {words}: {'; '.join(same)}"
        uncompared = [row for row in rows if not row.best and row.verdict is None]
        if uncompared:
            yield f"  not compared: {'; '.join(f'{row.label} ({row.verdict_reason})' for row in uncompared)}"
    if study.ranked_by == "tokens_per_second":
        reasons = {row.energy_per_output_token_j.reason for row in rows} - {None}
        yield f"Energy was not ranked: {'; '.join(sorted(str(reason) for reason in reasons)) or 'not all of one kind'}"
    if any(row.energy_per_output_token_j.estimated for row in rows):
        yield "Joules are estimated from CPU load within the bounds shown, not metered: they compare on this machine only."
    notes = sorted({remark for row in rows for remark in row.remarks} - {"estimated_energy"})
    if notes:
        yield f"Notes: {', '.join(notes)}"


def _headline(best: Aggregate, ranked_by: str | None) -> str:
    if ranked_by == "energy_per_output_token_j":
        return with_unit(best.energy_per_output_token_j.value, "J/token")
    return with_unit(best.tokens_per_second.value, "tokens/s")


def _common_prefix(energies: Sequence[Quantity]) -> tuple[float, str]:
    values = [energy.value for energy in energies if energy.value is not None]
    return prefix_for(min(values)) if values else (1.0, "")


def _quantity(quantity: Quantity, scale: float = 1.0) -> str:
    if quantity.value is None:
        return MISSING
    if quantity.estimated and quantity.absolute_95 is not None:
        return f"{three_digits(quantity.value / scale)} {bounds(quantity.absolute_95, scale)}"
    if quantity.repeatability_95 is not None:
        return plus_minus(quantity.value, quantity.repeatability_95, scale)
    return three_digits(quantity.value / scale)


def _rate(quantity: Quantity) -> str:
    return _quantity(quantity)


def _verdict(row: Aggregate) -> str:
    if row.best:
        return "best"
    return row.verdict or f"– ({row.verdict_reason})"


def _value(value: object) -> str:
    return (
        {True: "yes", False: "no", None: "default"}.get(value, str(value))
        if isinstance(value, bool | None)
        else str(value)
    )
