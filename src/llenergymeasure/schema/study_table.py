"""A study's result for a terminal: what varies, what it costs, which is best, what cannot be told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from llenergymeasure.schema.numbers import MISSING, bounds, mebibytes, percent, plus_minus, prefix_for, three_digits
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.study import Aggregate, StudyResult, Tier
from llenergymeasure.schema.study_words import finding, flag_letters, rest
from llenergymeasure.schema.table import Column, fits, render

# An interval on the log scale that reaches up to this many times the value reaches far less down: it is written with its ends.
_LOPSIDED = 1.4


@dataclass(frozen=True, slots=True)
class Field:
    """A column with its cells. ``narrow``: how it looks where there is little room."""

    column: Column
    cells: tuple[str, ...]
    narrow: Field | None = None


def study_lines(study: StudyResult, width: int | None = None) -> Iterator[str]:
    """The lines that end ``llem run`` of a study. ``width`` is the terminal's, ``None`` for a pipe, where nothing is left out."""
    if any(aggregate.n for aggregate in study.aggregates):
        fields, left_out = _fitting(_fields(study), width)
        yield from render([field.column for field in fields], _rows(fields), width)
        if left_out:
            yield f"(no room for {', '.join(left_out)} here; results.csv has all)"
        yield ""
        yield from finding(study)
    yield from rest(study)


def _fitting(fields: dict[str, Field], width: int | None) -> tuple[list[Field], list[str]]:
    """The columns that fit, narrowed and then dropped in this order; all of them when nothing helps. With the names dropped."""
    whole = list(fields.values())
    if width is None or _fit(whole, width):
        return whole, []
    left = {name: field.narrow or field for name, field in fields.items()}
    dropped: list[str] = []
    for name in ("", "memory", "W", "TTFT"):
        if left.pop(name, None) is not None:
            dropped.append(name)
        if _fit(list(left.values()), width):
            return list(left.values()), dropped
    return whole, []


def _fit(fields: Sequence[Field], width: int) -> bool:
    return fits([field.column for field in fields], _rows(fields), width)


def _rows(fields: Sequence[Field]) -> list[tuple[str, ...]]:
    return list(zip(*(field.cells for field in fields), strict=True))


def _fields(study: StudyResult) -> dict[str, Field]:
    """All columns by name."""
    places = [place for place, aggregate in enumerate(study.aggregates) if aggregate.n]
    rows = [study.aggregates[place] for place in places]
    ranked = any(row.verdict is not None for row in rows)
    tiers = {place: number for number, tier in enumerate(study.tiers, 1) for place in _members(tier)}
    scale, prefix = _common_prefix([row.energy_per_output_token_j for row in rows])
    estimated = any(row.energy_per_output_token_j.estimated for row in rows)
    ranks = tuple(_rank(study, place, tiers if ranked else {}) for place in places)
    fields = {"rank": Field(Column("rank" if ranked else ""), ranks, narrow=Field(Column(""), ranks))}
    fields |= _varied(rows)
    energy = _field(f"{prefix}J/token", rows, lambda row: row.energy_per_output_token_j, scale)
    if estimated:
        energy = replace(energy, column=Column(f"{prefix}J/token (estimated)", right=True), narrow=energy)
    fields["energy"] = energy
    fields["rate"] = _field("tokens/s", rows, lambda row: row.tokens_per_second, most=True)
    fields["TTFT"] = _plain("TTFT ms", rows, lambda row: row.ttft_ms_p50, three_digits)
    power = _field("W", rows, lambda row: row.mean_power_w)
    fields["W"] = replace(power, narrow=_plain("W", rows, lambda row: row.mean_power_w.value, three_digits))
    fields["memory"] = _memory(rows)
    letters = flag_letters(study)
    if letters:
        flags = ("".join(letters[code] for code in row.remarks if code in letters) for row in rows)
        fields["flags"] = Field(Column("flags"), tuple(flags))
    fields["n"] = Field(
        Column("cycles" if "varied n" in fields else "n", right=True), tuple(str(row.n) for row in rows)
    )
    if ranked:
        verdicts = tuple(_verdict(row) for row in rows)
        fields["verdict"] = Field(Column("against the best"), verdicts, narrow=Field(Column("verdict"), verdicts))
    return fields


def _members(tier: Tier) -> tuple[int, ...]:
    return (tier.best, *tier.equivalent, *tier.undecided)


def _rank(study: StudyResult, place: int, tiers: Mapping[int, int]) -> str:
    return str(tiers.get(place, "")) + ("★" if study.aggregates[place].best else "")


def _varied(rows: Sequence[Aggregate]) -> dict[str, Field]:
    """What varies: a column a key, by its last word where that is enough; keys of single engines together in one."""
    keys = list(dict.fromkeys(key for row in rows for key in row.varied))
    keys = [key for key in keys if len({repr(row.varied.get(key)) for row in rows}) > 1]
    scoped = [key for key in keys if key != "backend" and any(key not in row.varied for row in rows)]
    shared = [key for key in keys if key not in scoped]
    last = [key.rpartition(".")[2] for key in shared]
    fields = {
        f"varied {key}": Field(
            Column(word if last.count(word) == 1 else key), tuple(_value(row.varied.get(key, MISSING)) for row in rows)
        )
        for key, word in zip(shared, last, strict=True)
    }
    if scoped:
        fields["options"] = Field(Column("options"), tuple(_options(row, scoped) for row in rows))
    if not keys:
        fields["experiment"] = Field(Column("experiment"), tuple(row.label for row in rows))
    return fields


def _options(row: Aggregate, scoped: Sequence[str]) -> str:
    return ", ".join(f"{key.partition('.')[2]}={_value(row.varied[key])}" for key in scoped if key in row.varied)


def _field(
    heading: str, rows: Sequence[Aggregate], of: Callable[[Aggregate], Quantity], scale: float = 1.0, most: bool = False
) -> Field:
    """A quantity with its uncertainty."""
    quantities = [of(row) for row in rows]
    best = _best([quantity.value for quantity in quantities], most)
    cells = (_quantity(quantity, scale) + mark for quantity, mark in zip(quantities, best, strict=True))
    return Field(Column(heading, right=True), tuple(cells))


def _plain(
    heading: str, rows: Sequence[Aggregate], of: Callable[[Aggregate], float | None], words: Callable[[float], str]
) -> Field:
    """A number without one."""
    values = [of(row) for row in rows]
    shown = [MISSING if value is None else words(value) for value in values]
    cells = (text + mark for text, mark in zip(shown, _best(values), strict=True))
    return Field(Column(heading, right=True), tuple(cells))


def _memory(rows: Sequence[Aggregate]) -> Field:
    """On the devices where every engine says so, else of the worker process."""
    on_devices = all(row.device_memory_bytes is not None for row in rows)
    return _plain(
        "device memory" if on_devices else "memory",
        rows,
        lambda row: row.device_memory_bytes if on_devices else row.memory_bytes,
        lambda value: mebibytes(int(value)),
    )


def _best(values: Sequence[float | None], most: bool = False) -> list[str]:
    """A mark for the best of several different ones, and as much room for the others."""
    known = {value for value in values if value is not None}
    if len(known) < 2:
        return [""] * len(values)
    best = max(known) if most else min(known)
    return ["*" if value == best else " " for value in values]


def _common_prefix(energies: Sequence[Quantity]) -> tuple[float, str]:
    values = [energy.value for energy in energies if energy.value is not None]
    return prefix_for(min(values)) if values else (1.0, "")


def _quantity(quantity: Quantity, scale: float = 1.0) -> str:
    if quantity.value is None:
        return MISSING
    shown = three_digits(quantity.value / scale)
    if quantity.estimated and quantity.absolute_95 is not None:
        return f"{shown} {bounds(quantity.absolute_95, scale)}"
    interval = quantity.repeatability_95
    if interval is None:
        return shown
    if interval.high > _LOPSIDED * quantity.value:
        return f"{shown} {bounds(interval, scale)}"
    return plus_minus(quantity.value, interval, scale)


def _verdict(row: Aggregate) -> str:
    """``worse +8.1 %``: the verdict, and how far from the best."""
    if row.best or row.verdict is None:
        return "best" if row.best else MISSING
    ratio = None if row.ratio_to_best is None else row.ratio_to_best.value
    return row.verdict if ratio is None else f"{row.verdict} {percent(ratio - 1)}"


def _value(value: object) -> str:
    if isinstance(value, bool | None):
        return {True: "yes", False: "no", None: "default"}[value]
    return str(value)
