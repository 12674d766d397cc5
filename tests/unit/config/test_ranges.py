"""Ranges in a sweep."""

import pytest

from llenergymeasure.config.ranges import values_of


@pytest.mark.parametrize(
    ("key", "given", "values"),
    [
        ("n", {"pow2": [16, 256]}, (16, 32, 64, 128, 256)),
        ("n", {"pow2": [3, 100]}, (4, 8, 16, 32, 64)),
        ("n", {"linspace": [1, 10, 4]}, (1, 4, 7, 10)),
        ("n", {"linspace": [1, 4, 7]}, (1, 2, 3, 4)),
        ("n", {"linspace": [5, 9, 1]}, (5,)),
        ("n", {"logspace": [1, 1000, 4]}, (1, 10, 100, 1000)),
        ("pytorch.batch_size", {"logspace": [1, 64, 4]}, (1, 4, 16, 64)),
        ("decoder.top_p", {"linspace": [0.1, 0.9, 3]}, (0.1, 0.5, 0.9)),
        ("decoder.temperature", {"logspace": [0.01, 1, 3]}, (0.01, 0.1, 1.0)),
        ("vllm.gpu_memory_utilization", {"linspace": [0.7, 0.9, 3]}, (0.7, 0.8, 0.9)),
        ("pytorch.passthrough_kwargs.x", {"linspace": [1, 3, 3]}, (1, 2, 3)),
        ("dataset.synthetic.input_len", {"pow2": [64, 256]}, (64, 128, 256)),
    ],
)
def test_a_range_is_its_values(key, given, values):
    """Ends included, each value once; whole where the field takes whole numbers only."""
    found = values_of(key, given)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pow2": [256, 16]}, "goes from 256 down to 16"),
        ({"pow2": [5, 7]}, "no power of two"),
        ({"pow2": [0, 7]}, "begins at 0"),
        ({"pow2": [1]}, "needs two numbers"),
        ({"pow2": [1, True]}, "needs two numbers"),
        ({"linspace": [1, 2]}, "needs three numbers"),
        ({"linspace": [1, 2, 0]}, "1 to 100,000 values"),
        ({"linspace": [1, 2, 2.5]}, "1 to 100,000 values"),
        ({"logspace": [0, 2, 2]}, "begins at 0"),
        ({"logspace": [1, float("inf"), 2]}, "needs three numbers"),
        ({"linspce": [1, 2, 2]}, "did you mean 'linspace'"),
        ({"pow2": [1, 2], "linspace": [1, 2, 3]}, "write one of pow2"),
        ({}, "write one of pow2"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(given, message):
    """With what would make sense."""
    with pytest.raises(ValueError) as caught:
        values_of("n", given)
    assert message in " ".join(caught.value.args)
    assert len(caught.value.args) == 2 and caught.value.args[1]
