"""Prompts of exact lengths, made of sentences of the seeds in an order of their own for each prompt.

The text has at least as many words as the prompt has tokens, so that a tokenizer seldom runs out of it; the ids are cut to the
exact length where they are made. Prompts begin at different places: none shares a prefix with another that a cache could use.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from functools import cache

from llenergymeasure.config.dataset import Lengths, Lognormal, Normal, SyntheticOptions, Uniform
from llenergymeasure.datasets.seeds import seeds, seeds_sha256
from llenergymeasure.model.inputs import Prompt

# Raised when the same options and seed give other prompts.
_VERSION = 1


class SyntheticPrompts:
    """Generated prompts; everything that decides them is settled here. Satisfies ``datasets.contract.Dataset``."""

    name = f"synthetic@{_VERSION}"

    def __init__(self, options: SyntheticOptions, *, random_seed: int, max_new_tokens: int) -> None:
        self.size = options.n
        self._input_len = options.input_len
        self._output_len = max_new_tokens if options.output_len is None else options.output_len
        self._seed = random_seed if options.seed is None else options.seed

    @property
    def licence(self) -> str:
        return seeds().licence

    @property
    def sha256(self) -> str:
        lengths = [
            length.model_dump() if isinstance(length, Lengths) else length
            for length in (self._input_len, self._output_len)
        ]
        content = [self.name, seeds_sha256(), lengths, self._seed, self.size]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def prompts(self, n: int, seed: int) -> tuple[Prompt, ...]:
        """The first ``n``. ``seed`` changes nothing: theirs was settled when the dataset was opened."""
        return tuple(self._prompt(place) for place in range(n if self.size is None else min(n, self.size)))

    def _prompt(self, place: int) -> Prompt:
        drawn = random.Random(f"{self._seed}:{place}")
        input_len = _draw(self._input_len, drawn)
        output_len = _draw(self._output_len, drawn)
        return Prompt(_text(self._seed, place, input_len, drawn), exact_tokens=input_len, max_new_tokens=output_len)


def _draw(length: int | Lengths, drawn: random.Random) -> int:
    """A length in tokens."""
    if isinstance(length, int):
        return length
    match length.distribution:
        case Uniform(min=least, max=most):
            return drawn.randint(least, most)
        case Normal(mean=mean, std=std) as normal:
            return _within(normal, drawn.gauss(mean, std))
        case Lognormal(median=median, sigma=sigma) as lognormal:
            return _within(lognormal, median * math.exp(drawn.gauss(0.0, sigma)))


def _within(limits: Normal | Lognormal, value: float) -> int:
    most = value if limits.max is None else limits.max
    return max(limits.min, round(min(value, most)))


def _text(seed: int, place: int, words: int, drawn: random.Random) -> str:
    """At least that many words. Each prompt begins with another sentence; when all have been first, one word further on."""
    sentences = _sentences()
    lap, first = divmod(place, len(sentences))
    opening = sentences[_order(seed)[first]]
    text = list(opening[lap % len(opening) :])
    while len(text) < words:
        text += drawn.choice(sentences)
    return " ".join(text)


@cache
def _sentences() -> tuple[tuple[str, ...], ...]:
    """Every sentence of the passages, in words."""
    return tuple(tuple(sentence.split()) for passage in seeds().passages for sentence in passage.sentences)


@cache
def _order(seed: int) -> tuple[int, ...]:
    """In which order sentences are the first of a prompt."""
    order = list(range(len(_sentences())))
    random.Random(seed).shuffle(order)
    return tuple(order)
