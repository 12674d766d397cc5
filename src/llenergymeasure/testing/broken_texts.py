"""Configuration files made at random that are broken in one known way, beside some that are whole.

``case(random)`` draws a kind and makes one. The same source of randomness gives the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from llenergymeasure.testing import broken_data, broken_yaml

_MAKERS = {**broken_data.MAKERS, **broken_yaml.MAKERS}


@dataclass(frozen=True, slots=True)
class Case:
    """A file. ``valid``: whether a loader must take it (``True``), must refuse it (``False``), or may do either (``None``)."""

    kind: str
    content: bytes
    valid: bool | None


def case(random: Random, kind: str | None = None) -> Case:
    """One file, of the given kind or of any."""
    kind = kind or random.choice(sorted(_MAKERS))
    made, valid = _MAKERS[kind](random)
    return Case(kind, made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass"), valid)


def kinds() -> tuple[str, ...]:
    """The names of the ways."""
    return tuple(_MAKERS)
