"""Prompts of a wanted length out of passages and instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from llenergymeasure.datasets.seeds import Passage, Seeds

# How many candidates are compared for one prompt.
_CANDIDATES = 24
# Below this many words one passage is enough; from here to the second limit two are compared; above, a collection.
_ONE_PASSAGE = 135
_TWO_PASSAGES = 255


@dataclass(frozen=True, slots=True)
class _Draft:
    """A prompt and how it begins: no two prompts of a set may begin in the same way."""

    text: str
    opening: str
