"""The hand-written seeds from which ``mixed`` and synthetic prompts are made (``mixed_seeds.json``, CC0)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from llenergymeasure.model.codec import decode


@dataclass(frozen=True, slots=True)
class Passage:
    """A short text on one subject, and two questions that it answers."""

    title: str
    sentences: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code in lines, and what to do with it."""

    language: str
    task: str
    code: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignText:
    """A short text in a language other than English."""

    language: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seeds:
    """Everything in the file.

    ``questions``, ``code`` and ``foreign`` are prompts almost by themselves; ``passages`` are material for the instructions:
    ``before`` and ``after`` go with one passage, ``pair`` with two, ``many`` opens several, which end with ``tasks`` or
    ``answer``. ``worksheet`` ends several pieces of code; ``asking_in_english`` comes before a foreign text.
    """

    version: int
    licence: str
    questions: tuple[str, ...]
    code: tuple[Snippet, ...]
    foreign: tuple[ForeignText, ...]
    languages: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    pair: tuple[str, ...]
    many: tuple[str, ...]
    tasks: tuple[str, ...]
    answer: tuple[str, ...]
    worksheet: str
    asking_in_english: tuple[str, ...]
    passages: tuple[Passage, ...]


@cache
def seeds() -> Seeds:
    """The seeds, read once."""
    return decode(Seeds, json.loads(_bytes()))


@cache
def seeds_sha256() -> str:
    """Identifies the file."""
    return hashlib.sha256(_bytes()).hexdigest()


def _bytes() -> bytes:
    return resources.files("llenergymeasure.datasets").joinpath("mixed_seeds.json").read_bytes()
