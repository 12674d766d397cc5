"""Which prompts a warm-up uses."""

from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.testing.builders import prepared_inputs
from llenergymeasure.worker.warmup import permuted, warmup_prompts


def _inputs(window, pool):
    return prepared_inputs((*window, *pool), n=len(window))


_LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def test_a_batch_has_the_lengths_of_the_window():
    """Prompts of the pool that come nearest to the window's lengths, spread as they are."""
    prompts, source = warmup_prompts(_inputs((10, 200, 50, 100), (7, 55, 90, 1000, 210, 11)), 4)
    assert source == "pool"
    assert [len(ids) for _, ids in prompts] == [11, 55, 90, 210]


def test_one_request_at_a_time_warms_up_with_the_median():
    """A batch of one has the length in the middle, not whichever prompt comes next: batches can be compared."""
    prompts, _ = warmup_prompts(_inputs((4, 30, 1400), (1300, 28, 5)), 1)
    assert [len(ids) for _, ids in prompts] == [28]


@given(window=_LENGTHS, pool=st.lists(st.integers(1, 40), max_size=12), data=st.data())
def test_a_batch_is_whole_and_uses_no_prompt_twice(window, pool, data):
    """As many prompts as asked for, each a row of its own; the window's only where the pool has too few."""
    size = data.draw(st.integers(1, len(window)))
    inputs = _inputs(window, pool)
    prompts, source = warmup_prompts(inputs, size)
    rows = [row for row, _ in prompts]
    assert len(set(rows)) == size
    assert source == ("pool" if len(pool) >= size else "permuted")
    assert all((row >= len(window)) == (source == "pool") for row in rows)
    assert all(inputs.ids[row] == ids for row, ids in prompts)


@given(ids=st.lists(st.integers(0, 99), min_size=1, max_size=20), seed=st.integers(0, 9), batch=st.integers(0, 9))
def test_a_batch_keeps_lengths_and_ids_in_an_order_of_its_own(ids, seed, batch):
    """The same seed and batch give the same order."""
    ((row, shuffled),) = permuted([(3, tuple(ids))], seed, batch)
    assert row == 3
    assert sorted(shuffled) == sorted(ids)
    assert permuted([(3, tuple(ids))], seed, batch) == [(3, shuffled)]


def test_batches_differ():
    """What a prefix cache saw in one batch is of no use in the next."""
    prompts = [(0, tuple(range(50)))]
    assert len({permuted(prompts, 42, batch)[0][1] for batch in range(5)}) == 5
