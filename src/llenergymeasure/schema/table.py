"""Text tables: aligned columns, never cut, narrow terminals get one block a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how its cells are aligned."""

    heading: str
    right: bool = False


def render(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """The lines of a table. ``width`` is the terminal's, ``None`` for a pipe; what does not fit becomes blocks."""
    if width is not None and not fits(columns, rows, width):
        yield from _blocks(columns, rows)
        return
    widths = _widths(columns, rows)
    yield _line([column.heading for column in columns], columns, widths)
    yield "  ".join("─" * cell for cell in widths)
    for row in rows:
        yield _line(row, columns, widths)


def fits(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether a table is at most so wide."""
    return sum(_widths(columns, rows)) + 2 * (len(columns) - 1) <= width


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(display_width(column.heading), *(display_width(row[place]) for row in rows), 0)
        for place, column in enumerate(columns)
    ]


def display_width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        gap = " " * (width - display_width(cell))
        parts.append(gap + cell if column.right else cell + gap)
    return "  ".join(parts).rstrip()


def _blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    name_width = max(len(column.heading) for column in columns)
    for number, row in enumerate(rows):
        if number:
            yield ""
        for cell, column in zip(row, columns, strict=True):
            if cell:
                yield f"{column.heading:<{name_width}}  {cell}".rstrip()
