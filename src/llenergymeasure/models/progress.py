"""How whoever works talks to a person who waits."""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """Called with words, and with the fraction done in [0, 1] when it is known."""

    def __call__(self, message: str, fraction: float | None = None) -> None: ...
