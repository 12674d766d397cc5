"""``mixed``: 500 prompts of this project, put together from the hand-written seeds, always in the same way.

Questions, summaries, rewriting, extraction, translation, code and long context. Lengths follow the profile of the AI Energy
Score text-generation set: each of the 500 places has a length to aim at, and gets the unused seed or the composition that comes
closest. Places are filled by length and handed out in a low-discrepancy order, so that the first n prompts have nearly the
profile of all, whatever n is. No two prompts begin alike: prefix caches find nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from llenergymeasure.datasets.compose import Composer, code_prompt, words
from llenergymeasure.datasets.seeds import Seeds, seeds
from llenergymeasure.model.inputs import Prompt

SIZE = 500

# (share of prompts that are shorter, words). The ends are ours; in between lengths are interpolated on a logarithmic scale.
PROFILE_WORDS = ((0.0, 3), (0.05, 7), (0.25, 36), (0.5, 98), (0.75, 247), (0.95, 1048), (1.0, 2000))

# A prompt that is a seed by itself may miss the length aimed at by this share and by one word.
_SLACK = 0.03
_GOLDEN = (math.sqrt(5) - 1) / 2


def open_dataset() -> MixedDataset:
    """The dataset."""
    return MixedDataset()


class MixedDataset:
    """The built-in set. Satisfies ``datasets.contract.Dataset``."""

    size = SIZE

    @property
    def name(self) -> str:
        return f"mixed@{seeds().version}"

    @property
    def licence(self) -> str:
        return seeds().licence

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(_texts(), ensure_ascii=False).encode()).hexdigest()

    def prompts(self, n: int, seed: int) -> tuple[Prompt, ...]:
        return tuple(Prompt(text) for text in _texts()[:n])


@cache
def _texts() -> tuple[str, ...]:
    by_length = tuple(_filled(seeds()))
    return tuple(by_length[place] for place in _spread(SIZE))


def _filled(material: Seeds) -> Iterator[str]:
    """A prompt for each place, shortest first."""
    alone = (*material.questions, *map(code_prompt, material.code), *_foreign_prompts(material))
    unused = {text: words(text) for text in alone}
    composer = Composer(material)
    for place in range(SIZE):
        aim = words_at((place + 0.5) / SIZE)
        nearest = min(unused, key=lambda text: abs(unused[text] - aim))
        if abs(unused[nearest] - aim) <= 1 + _SLACK * aim:
            del unused[nearest]
            yield nearest
        else:
            yield composer.prompt(aim)


def words_at(share: float) -> float:
    """The length in words below which that share of the prompts should be."""
    for (low, shorter), (high, longer) in pairwise(PROFILE_WORDS):
        if share <= high:
            return float(shorter * (longer / shorter) ** ((share - low) / (high - low)))
    raise ValueError(f"{share} is not between 0 and 1")


def _foreign_prompts(material: Seeds) -> Iterator[str]:
    for number, text in enumerate(material.foreign):
        request = material.asking_in_english[number % len(material.asking_in_english)].format(language=text.language)
        yield f"{request}\n\n{' '.join(text.sentences)}"


def _spread(size: int) -> list[int]:
    """All places once, any run of them spread evenly: ranks of the multiples of the golden ratio modulo one."""
    fractions = [(0.5 + step * _GOLDEN) % 1 for step in range(size)]
    by_fraction = sorted(range(size), key=fractions.__getitem__)
    ranks = [0] * size
    for rank, step in enumerate(by_fraction):
        ranks[step] = rank
    return ranks
