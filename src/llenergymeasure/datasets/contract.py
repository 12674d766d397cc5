"""The seam that gives prompts.

A dataset is a pool of prompts in an order of its own. A plug-in (entry-point group ``llenergymeasure.datasets``) is a callable
without arguments that returns one; ``prompts`` and ``size`` may be called any number of times, from one thread. What is wrong
with the data leaves as ``ConfigError`` that names the place. ``testing.dataset_contract`` checks all this.
"""

from __future__ import annotations

from typing import Protocol

from llenergymeasure.model.inputs import Prompt


class Dataset(Protocol):
    """A pool of prompts. Equal ``sha256``, ``n`` and ``seed`` give equal prompts."""

    @property
    def name(self) -> str:
        """What results call it, with its version where it has one: ``mixed@1``, ``owner/name@<commit>``. No path of a machine."""

    @property
    def sha256(self) -> str:
        """64 hex digits over the content, or over what generates it; the seed does not enter."""

    @property
    def licence(self) -> str | None:
        """Under which terms the prompts may be used; ``None`` where nobody says."""

    @property
    def size(self) -> int | None:
        """How many prompts there are; ``None`` for as many as are asked for."""

    def prompts(self, n: int, seed: int) -> tuple[Prompt, ...]:
        """The first ``n`` prompts, fewer only where there are fewer. They begin like those of every larger ``n``.

        ``seed`` matters to a dataset that generates its prompts; others give the same for every seed.
        """
