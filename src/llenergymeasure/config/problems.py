"""From what pydantic found to messages with file, line and suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from llenergymeasure.config.yaml_strict import DataPath, Document
from llenergymeasure.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where in the data, and what would help."""

    path: DataPath
    message: str
    hint: str = ""

    @property
    def key(self) -> str:
        """The dotted path."""
        return dotted(self.path)


def problem(path: DataPath, given: Any, message: str, hint: str = "") -> InitErrorDetails:
    """A problem in the form that pydantic collects."""
    return InitErrorDetails(
        type=PydanticCustomError("problem", "{text}", {"text": message, "hint": hint}), loc=path, input=given
    )


def unknown_key(
    path: DataPath, given: Any, known: Iterable[str], later: Mapping[str, str] | None = None
) -> InitErrorDetails:
    """The problem of a key that nothing takes. ``later`` says why for keys of features that this version does not have."""
    key = str(path[-1])
    if later and key in later:
        return problem(path, given, f"{key!r} is not known to this version: {later[key]}", "remove it")
    return problem(path, given, f"unknown key {key!r}", did_you_mean(key, known))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?``, or the list of what there is."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(names)}" if names else ""


def relocated(
    error: ValidationError, prefix: DataPath = (), known: Mapping[DataPath, Sequence[str]] | None = None
) -> list[InitErrorDetails]:
    """The problems of a part of the data, as problems of the whole. ``known``: as for ``problems_of``."""
    lines = error.errors(include_url=False)
    found = ((line, _problem(line, known or {})) for line in lines)
    return [problem((*prefix, *one.path), line["input"], one.message, one.hint) for line, one in found]


def problems_of(error: ValidationError, known: Mapping[DataPath, Sequence[str]] | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong. ``known`` gives the keys that a section takes, for suggestions."""
    return tuple(_problem(line, known or {}) for line in error.errors(include_url=False))


def config_error(problems: Sequence[Problem], document: Document | None, what: str = "configuration") -> ConfigError:
    """One error that names every problem, each with its line when the data came from a file."""
    if document is not None:
        problems = sorted(problems, key=lambda found: document.line_of(found.path) or 0)
    return ConfigError("\n".join(f"{_where(found, document, what)}{_sentence(found)}" for found in problems))


def dotted(path: DataPath) -> str:
    """``("decoder", "top_p")`` as ``decoder.top_p``; places in lists count from 1: ``experiments[1]``."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _where(found: Problem, document: Document | None, what: str) -> str:
    if document is None:
        return f"{what}: "
    line = document.line_of(found.path)
    return f"{document.path}:{line}: " if line else f"{document.path}: "


def _sentence(found: Problem) -> str:
    subject = "" if not found.path or repr(found.path[-1]) in found.message else f"{found.key}: "
    return f"{subject}{found.message}{f' ({found.hint})' if found.hint else ''}"


def _problem(line: ErrorDetails, known: Mapping[DataPath, Sequence[str]]) -> Problem:
    path = tuple(line["loc"])
    if line["type"] == "extra_forbidden":
        return Problem(path, f"unknown key {path[-1]!r}", did_you_mean(str(path[-1]), known.get(path[:-1], ())))
    return Problem(path, *_words(line))


def _words(line: ErrorDetails) -> tuple[str, str]:
    context = line.get("ctx") or {}
    if line["type"] == "problem":
        return str(context["text"]), str(context["hint"])
    if line["type"] == "missing":
        return "is needed and not given", ""
    if line["type"] == "value_error":
        return str(context.get("error", line["msg"])), ""
    message = line["msg"][0].lower() + line["msg"][1:]
    return f"{message.replace('input should', 'should')}, found {_short(line['input'])}", ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
