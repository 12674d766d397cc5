from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.backends.pytorch_batch import batches, own_tokens, padded_left, shapes
from llenergymeasure.model.request import Request

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=30)


def requests(lengths):
    return tuple(Request(row, row, (5,) * length, 4) for row, length in enumerate(lengths))


@given(LENGTHS, st.integers(1, 8), st.booleans())
def test_batches_hold_every_request_once_and_only_the_last_is_smaller(lengths, size, sort_by_length):
    """Nothing is lost, doubled or padded to a full batch."""
    made = list(batches(requests(lengths), size, sort_by_length=sort_by_length))
    assert sorted(request.sequence for batch in made for request in batch) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in made[:-1])
    assert 1 <= len(made[-1]) <= size


@given(LENGTHS, st.integers(1, 8))
def test_batches_keep_the_order_of_the_requests(lengths, size):
    """Without sorting, prompts run in the order of the data."""
    made = [request.sequence for batch in batches(requests(lengths), size, sort_by_length=False) for request in batch]
    assert made == list(range(len(lengths)))


def test_sorting_puts_the_longest_inputs_first_and_keeps_equals_in_order():
    """The batch that needs most memory comes first."""
    made = list(batches(requests([2, 9, 9, 1]), 2, sort_by_length=True))
    assert [[request.sequence for request in batch] for batch in made] == [[1, 2], [0, 3]]


@given(LENGTHS, st.integers(1, 8))
def test_shapes_are_the_sizes_that_batches_have(lengths, size):
    """Whoever compiles beforehand meets no other size later."""
    sizes = {len(batch) for batch in batches(requests(lengths), size, sort_by_length=False)}
    assert set(shapes(len(lengths), size)) == sizes


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=7), min_size=1, max_size=6))
def test_padding_stands_on_the_left_and_is_masked(prompts):
    """Each row is its prompt at the right end, and the mask is 1 exactly there."""
    ids, mask = padded_left(prompts, 0)
    longest = max(map(len, prompts))
    for prompt, row, seen in zip(prompts, ids, mask, strict=True):
        assert len(row) == len(seen) == longest
        assert row[longest - len(prompt) :] == prompt
        assert seen == [0] * (longest - len(prompt)) + [1] * len(prompt)


def test_tokens_end_with_the_first_end_token_which_counts_once():
    """Padding after it is not output, even when the padding is the end token itself."""
    assert own_tokens([7, 8, 2, 2, 2], 5, (2,)) == ((7, 8, 2), "stop")


def test_a_row_that_goes_on_is_cut_at_its_own_limit():
    """What a row holds beyond its own limit was generated for the others of the batch."""
    assert own_tokens([7, 8, 9, 2], 3, (2,)) == ((7, 8, 9), "length")


def test_an_end_token_at_the_limit_is_a_stop():
    """The request ended by itself with its last token."""
    assert own_tokens([7, 8, 2], 3, (2,)) == ((7, 8, 2), "stop")


def test_without_end_tokens_nothing_ends_early():
    """With ``ignore_eos`` an end token is a token like others."""
    assert own_tokens([7, 2, 9, 9], 4, ()) == ((7, 2, 9, 9), "length")


def test_any_of_several_end_tokens_ends():
    """Instruction-tuned models have more than one."""
    assert own_tokens([7, 3, 2], 5, (2, 3)) == ((7, 3), "stop")


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 20), st.sets(st.integers(0, 5), max_size=3))
def test_output_is_a_prefix_within_the_limit_with_at_most_one_end_token(row, limit, ends):
    """An independent statement of the counting rule."""
    tokens, reason = own_tokens(row, limit, tuple(ends))
    assert list(tokens) == row[: len(tokens)]
    assert len(tokens) <= limit
    assert not ends & set(tokens[:-1])
    assert (reason == "stop") == (bool(tokens) and tokens[-1] in ends)
    if reason == "length":
        assert len(tokens) == min(limit, len(row))
