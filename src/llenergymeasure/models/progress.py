"""How model resolution talks to a person who waits."""

from __future__ import annotations

from collections.abc import Callable

# Called with words, and with the fraction done in [0, 1] when it is known.
Say = Callable[[str, float | None], None]
