"""Lengths of time as they are typed."""

import click
import pytest

from llenergymeasure.cli.duration import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d 2H", 93600),
    ],
)
def test_a_length_of_time(text, seconds):
    """Seconds, or numbers with units, the largest first."""
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "30 minutes", "m", "30m1h", "1h1h", "1h30", "-5m", "1,5h"])
def test_what_is_none_is_refused(text):
    """With what could be written instead."""
    with pytest.raises(click.BadParameter, match="30m, 2h or 1h30m"):
        Duration().convert(text, None, None)
