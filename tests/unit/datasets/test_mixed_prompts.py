"""The built-in prompt set."""

from __future__ import annotations

import statistics
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from llenergymeasure.datasets import mixed
from llenergymeasure.datasets.seeds import seeds

# A change here changes what everybody measures: raise "version" in mixed_seeds.json with it.
SHA256 = "b993b1fa8e4fadd55d2d12a2eacb7e8fd2342322dbb6ff0efbe518f42457e2cf"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [prompt.text for prompt in mixed.open_dataset().prompts(500, 0)]


def lengths(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def same_beginning(one: str, other: str) -> str:
    return one[: next((place for place, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), None)]


def test_the_set_is_the_published_one() -> None:
    """Name, content, size and licence are pinned."""
    dataset = mixed.open_dataset()
    assert (dataset.name, dataset.sha256, dataset.size) == ("mixed@1", SHA256, 500)
    assert dataset.licence == "CC0-1.0"


@pytest.mark.parametrize(("percentile", "words"), [(5, 7), (25, 36), (50, 98), (75, 247), (95, 1048)])
def test_lengths_have_the_published_profile(texts: list[str], percentile: int, words: int) -> None:
    """Percentiles of the length in words are within five percent of the AI Energy Score set's."""
    assert np.percentile(lengths(texts), percentile) == pytest.approx(words, rel=0.05)


@pytest.mark.parametrize(("n", "tolerance"), [(20, 0.25), (100, 0.10), (250, 0.05)])
def test_the_first_prompts_have_the_median_of_all(texts: list[str], n: int, tolerance: float) -> None:
    """However few are taken, they are not the short or the long ones."""
    assert statistics.median(lengths(texts[:n])) == pytest.approx(statistics.median(lengths(texts)), rel=tolerance)


def test_the_first_hundred_have_the_mean_of_all(texts: list[str]) -> None:
    """The default n costs about as much per prompt as the whole set."""
    assert statistics.mean(lengths(texts[:100])) == pytest.approx(statistics.mean(lengths(texts)), rel=0.05)


def test_even_eight_prompts_hold_short_and_long_ones(texts: list[str]) -> None:
    """Both quarters at the ends are represented."""
    first = lengths(texts[:8])
    assert min(first) < 36 and max(first) > 247


def test_no_two_prompts_begin_alike(texts: list[str]) -> None:
    """The longest common beginning is shorter than the blocks of 16 tokens that prefix caches keep."""
    shared = [same_beginning(*pair) for pair in pairwise(sorted(texts))]
    assert len(set(texts)) == 500
    assert max(len(beginning.split()) for beginning in shared) <= 10
    assert max(map(len, shared)) <= 50


def test_every_kind_of_prompt_is_among_the_first_hundred(texts: list[str]) -> None:
    """Questions, work on a text, translation, code, and collections of texts."""
    first = texts[:100]
    questions = set(seeds().questions)
    languages = {*seeds().languages, *(text.language for text in seeds().foreign)}
    assert sum(text in questions for text in first) >= 15
    assert sum("```" in text for text in first) >= 5
    assert sum(any(f"n {language}" in text or f"o {language}" in text for language in languages) for text in first) >= 5
    assert sum("\n\n3. " in text for text in first) >= 15


def test_no_placeholder_is_left_and_no_prompt_is_padded(texts: list[str]) -> None:
    """Instructions are filled in, and prompts begin and end with a letter or sign."""
    for text in texts:
        assert text == text.strip()
        assert not any(f"{{{name}}}" in text for name in ("title", "second", "language", "count", "question"))


def test_the_first_prompts_of_few_are_those_of_many(texts: list[str]) -> None:
    """n only says where to stop; the seed changes nothing."""
    assert [prompt.text for prompt in mixed.open_dataset().prompts(7, 99)] == texts[:7]


def test_the_data_file_is_small_and_every_seed_is_used(texts: list[str]) -> None:
    """Far below a mebibyte, and no question or piece of code that nobody ever sees."""
    data = resources.files("llenergymeasure.datasets").joinpath("mixed_seeds.json").read_bytes()
    assert len(data) < 200_000
    everything = "\n".join(texts)
    assert all(question in everything for question in seeds().questions)
    assert all(snippet.task in everything for snippet in seeds().code)
    assert all(passage.sentences[0] in everything for passage in seeds().passages)


def test_a_share_outside_zero_and_one_has_no_length() -> None:
    """The profile is defined for shares only."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        mixed.words_at(1.5)
