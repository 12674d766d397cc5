"""Tables for a terminal and for a pipe."""

from llenergymeasure.schema.table import Column, display_width, render

COLUMNS = [Column("name"), Column("tokens/s", right=True)]


def test_columns_are_aligned_and_never_cut():
    """Text to the left, numbers to the right, every row as long as it is."""
    lines = list(render(COLUMNS, [["a", "1"], ["a long name indeed", "1,000"]]))
    assert lines == [
        "name                tokens/s",
        "──────────────────  ────────",
        "a                          1",
        "a long name indeed     1,000",
    ]


def test_a_narrow_terminal_gets_blocks():
    """Nothing is cut when the table is wider than the terminal."""
    lines = list(render(COLUMNS, [["a long name indeed", "1"], ["b", "2"]], width=20))
    assert lines == ["name      a long name indeed", "tokens/s  1", "", "name      b", "tokens/s  2"]


def test_wide_characters_take_two_columns():
    """A name in Chinese is aligned as it is drawn."""
    assert display_width("模型") == 4
