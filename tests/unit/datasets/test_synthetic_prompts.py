"""Prompts of exact lengths."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from llenergymeasure.config.dataset import SyntheticOptions
from llenergymeasure.datasets.synthetic import SyntheticPrompts
from llenergymeasure.model.inputs import Prompt


def prompts(n: int = 50, *, random_seed: int = 42, max_new_tokens: int = 128, **options: object) -> tuple[Prompt, ...]:
    opened = SyntheticPrompts(
        SyntheticOptions.model_validate(options), random_seed=random_seed, max_new_tokens=max_new_tokens
    )
    return opened.prompts(n, 0)


def test_alone_it_is_512_tokens_in_and_128_out() -> None:
    """The defaults of the field and of the decoder."""
    assert {(prompt.exact_tokens, prompt.max_new_tokens) for prompt in prompts()} == {(512, 128)}


def test_output_len_comes_before_the_decoders_limit() -> None:
    """Given, it is the prompt's own limit; not given, the decoder's is."""
    assert {prompt.max_new_tokens for prompt in prompts(output_len=7, max_new_tokens=32)} == {7}
    assert {prompt.max_new_tokens for prompt in prompts(max_new_tokens=32)} == {32}


@pytest.mark.parametrize("length", [1, 64, 3000])
def test_a_text_has_a_word_for_every_token(length: int) -> None:
    """A tokenizer, which makes at least one token a word, need not repeat it."""
    assert all(len(prompt.text.split()) >= length for prompt in prompts(10, input_len=length))


def test_prompts_do_not_share_their_beginning() -> None:
    """Among 2,000 prompts no two have more than a handful of words in common at the start."""
    beginnings = sorted(prompt.text.split()[:8] for prompt in prompts(2000, input_len=40))
    assert all(one != other for one, other in pairwise(beginnings))


def test_uniform_lengths_reach_both_ends() -> None:
    """Limits belong to the range."""
    drawn = [prompt.exact_tokens for prompt in prompts(200, input_len={"uniform": {"min": 3, "max": 6}})]
    assert set(drawn) == {3, 4, 5, 6}


def test_normal_lengths_have_the_mean_and_spread_asked_for() -> None:
    """To a few percent over 2,000 draws."""
    drawn = [p.exact_tokens or 0 for p in prompts(2000, input_len={"normal": {"mean": 200, "std": 30}})]
    assert statistics.mean(drawn) == pytest.approx(200, rel=0.02)
    assert statistics.stdev(drawn) == pytest.approx(30, rel=0.1)


def test_lognormal_lengths_have_the_median_asked_for_and_a_long_tail() -> None:
    """Half are below the median, and the mean is well above it."""
    drawn = [p.exact_tokens or 0 for p in prompts(2000, input_len={"lognormal": {"median": 50, "sigma": 0.8}})]
    assert statistics.median(drawn) == pytest.approx(50, rel=0.06)
    assert statistics.mean(drawn) == pytest.approx(50 * 2.718281828 ** (0.8**2 / 2), rel=0.1)


def test_the_seed_is_its_own_or_the_experiments() -> None:
    """With a seed of its own the experiment's changes nothing; without, it changes everything."""
    assert prompts(seed=1, random_seed=2) == prompts(seed=1, random_seed=3) == prompts(random_seed=1)
    assert not set(prompts(5, random_seed=1)) & set(prompts(5, random_seed=2))


def test_the_hash_follows_whatever_changes_the_prompts() -> None:
    """Seed, lengths, the decoder's limit and the size of the pool."""

    def sha256(random_seed: int = 42, max_new_tokens: int = 128, **options: object) -> str:
        read = SyntheticOptions.model_validate(options)
        return SyntheticPrompts(read, random_seed=random_seed, max_new_tokens=max_new_tokens).sha256

    uniform = {"uniform": {"min": 1, "max": 9}}
    hashes = [
        sha256(),
        sha256(random_seed=1),
        sha256(max_new_tokens=1),
        sha256(input_len=9),
        sha256(input_len=uniform),
        sha256(n=5),
    ]
    assert len(set(hashes)) == len(hashes)
    assert sha256(seed=42) == sha256()
