"""The language of filters."""

import pytest

from llenergymeasure.config.where import FilterError, parse_filter

VALUES = {
    "n": 6,
    "precision": "fp16",
    "cold_start": False,
    "decoder.top_p": 0.5,
    "pytorch.batch_size": 4,
}


def keeps(text):
    found = parse_filter(text)
    return found.keeps([VALUES[key] for key in found.fields])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n == 6", True),
        ("n != 6", False),
        ("n * pytorch.batch_size <= 24", True),
        ("n + 2 * 3 == 12", True),
        ("(n + 2) * 3 == 24", True),
        ("n - 1 - 1 == 4", True),
        ("n / 4 == 1.5 and n // 4 == 1 and n % 4 == 2", True),
        ("-n < -5", True),
        ("--n == 6", True),
        ("2 < n <= 6", True),
        ("6 < n <= 9", False),
        ("not n == 6 or precision == 'fp16'", True),
        ("not (n == 6 or precision == 'fp16')", False),
        ("n == 5 or n == 6 and n == 7", False),
        ("precision in ['fp16', \"bf16\"]", True),
        ("precision not in ['fp16']", False),
        ("n in [1, 2 * 3]", True),
        ("cold_start", False),
        ("not cold_start", True),
        ("cold_start == false", True),
        ("decoder.top_p >= 5e-1", True),
        ("precision < 'fp32'", True),
        ("precision == 5", False),
        ("true", True),
    ],
)
def test_a_filter_means_what_it_says(text, expected):
    """Precedence as in Python; comparisons chain."""
    assert keeps(text) is expected


def test_a_filter_knows_what_it_reads():
    """Each field once, in order."""
    assert parse_filter("n * pytorch.batch_size > n").fields == ("n", "pytorch.batch_size")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("n = 6", "cannot read '= 6'", "write == to compare"),
        ("n & 6", "cannot read '& 6'", "write and, or, not"),
        ("n ** 2 > 5", "'*' is not expected there", "missing"),
        ("n <", "ends too early", "compare"),
        ("(n < 5", "')' is missing", "close"),
        ("n < 5)", "')' is not expected", "operator"),
        ("n not 5", "'not' is not expected", "not in"),
        ("nn < 5", "no field is called 'nn'", "did you mean 'n'"),
        ("precision == fp16", "no field is called 'fp16'", "text needs quotes: 'fp16'"),
        ("decoder > 5", "'decoder' is a section", "fields"),
        ("pytorch > 5", "no field is called 'pytorch'", ""),
        ("n < " + "(" * 30 + "5" + ")" * 30, "nested more than 20", "several"),
        ("n < " + "5" * 600, "a filter of 604 characters", "several"),
        ("n + 1", "7 is neither true nor false, with n 6", "comparison"),
        ("n and n > 1", "6 is neither true", "comparison"),
        ("precision * 2 > 1", "'fp16' is not a number", "compare text"),
        ("cold_start < 1", "False is not a number", "compare text"),
        ("n in 5", "5 is no list", "write"),
        ("n / (n - 6) > 1", "a division by zero, with n 6", ""),
        (f"{'9' * 400} / 3.0 > n", "a number too large", ""),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(text, message, hint):
    """When it is read, or when it meets values that it cannot work with; no text is ever run as code."""
    with pytest.raises(FilterError) as caught:
        keeps(text)
    assert message in str(caught.value)
    assert hint in caught.value.hint
