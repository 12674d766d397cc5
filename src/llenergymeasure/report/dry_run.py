"""A dry run for a terminal: what would run, whether it fits, how long it takes, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llenergymeasure.schema.dry_run import DryRun, PlannedPoint
from llenergymeasure.schema.numbers import MISSING, counted, duration, mebibytes, with_unit
from llenergymeasure.schema.table import Column, render

# Trials whose order is written out; every cycle begins a line.
_MOST_IN_ORDER = 200


def dry_run_lines(plan: DryRun, width: int | None = None) -> Iterator[str]:
    """The lines of ``llem run --dry-run``. ``width`` is the terminal's, ``None`` for a pipe."""
    trials = len(plan.order)
    yield (
        f"Dry run   {plan.name}: {counted(len(plan.points), 'experiment')} × {counted(plan.cycles, 'cycle')} = "
        f"{counted(trials, 'trial')}; nothing is started, fetched or written"
    )
    yield f"Points    {plan.generated:,} generated, {len(plan.skipped):,} skipped, {plan.merged:,} merged"
    for notice in plan.notices:
        yield f"Note      {notice}"
    for engine in plan.engines:
        yield f"Engine    {engine.backend}: {engine.detail}"
    yield f"Energy    {plan.energy}"
    yield ""
    bases = list(dict.fromkeys(point.time.basis for point in plan.points))
    yield from render(_COLUMNS, [_row(number, point, bases) for number, point in enumerate(plan.points, 1)], width)
    yield ""
    for letter, basis in enumerate(bases):
        yield f"Basis {_letters(letter)}   {basis}"
    yield from _reasons(plan.points)
    yield from _limits(plan.points)
    yield from _order(plan)
    for point in plan.skipped:
        yield f"Skipped   {point.label}: {point.reason}"
    for problem in plan.problems:
        yield f"Problem   {problem}"
    yield f"Total     {_total(plan)}"


_COLUMNS = (
    Column("#", right=True),
    Column("experiment"),
    Column("memory", right=True),
    Column("of", right=True),
    Column(""),
    Column("a trial", right=True),
    Column("energy", right=True),
    Column("basis"),
)


def _row(number: int, point: PlannedPoint, bases: Sequence[str]) -> list[str]:
    memory, time = point.memory, point.time
    return [
        str(number),
        point.label + (f" / in {point.environment}" if point.environment else ""),
        mebibytes(memory.peak_bytes),
        mebibytes(memory.available_bytes),
        memory.verdict,
        MISSING if time.seconds is None else duration(time.seconds),
        MISSING if time.joules is None else with_unit(time.joules, "J"),
        _letters(bases.index(time.basis)) + (" (guess)" if time.guessed and time.seconds is not None else ""),
    ]


def _letters(index: int) -> str:
    """The letters a to z, then aa, ab and so on."""
    before = "" if index < 26 else _letters(index // 26 - 1)
    return before + chr(ord("a") + index % 26)


def _reasons(points: Sequence[PlannedPoint]) -> Iterator[str]:
    """Why figures are missing, each reason once."""
    memory = [point.memory.reason for point in points if point.memory.reason]
    for why in dict.fromkeys(memory):
        yield f"No memory forecast: {why}"
    joules = [point.time.joules_reason for point in points if point.time.joules is None and point.time.joules_reason]
    for why in dict.fromkeys(joules):
        yield f"No energy forecast: {why}"


def _limits(points: Sequence[PlannedPoint]) -> Iterator[str]:
    """After what time a trial that does not end is given up."""
    known = sorted(limit for point in points if (limit := point.time.limit_seconds) is not None)
    if known:
        least, most = duration(known[0]), duration(known[-1])
        unlimited = len(points) - len(known)
        rest = f"; no limit for {counted(unlimited, 'experiment')} that no earlier trial tells of" if unlimited else ""
        yield f"Limit     a trial is given up {least if least == most else f'{least} to {most}'} after loading{rest}"


def _order(plan: DryRun) -> Iterator[str]:
    seed = f", seed {plan.order_seed}" if plan.cycle_order == "shuffled" else ""
    shown = plan.order[:_MOST_IN_ORDER]
    yield f"Order     {plan.cycle_order}{seed}" + (
        f"; the first {_MOST_IN_ORDER}" if len(shown) < len(plan.order) else ""
    )
    for cycle in dict.fromkeys(cycle for _, cycle in shown):
        yield f"  cycle {cycle + 1}   " + " ".join(str(point + 1) for point, of in shown if of == cycle)


def _total(plan: DryRun) -> str:
    totals = plan.totals
    parts = ["no time forecast" if totals.seconds is None else duration(totals.seconds)]
    if totals.seconds is not None and totals.untimed_trials:
        parts.append(f"{counted(totals.untimed_trials, 'trial')} without a forecast not among them")
    if totals.joules is not None:
        left_out = counted(totals.trials_without_joules, "trial")
        parts.append(with_unit(totals.joules, "J") + (f" (without {left_out})" if totals.trials_without_joules else ""))
    else:
        parts.append("no energy forecast")
    return ", ".join(parts)
