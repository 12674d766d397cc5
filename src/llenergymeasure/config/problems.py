"""From what pydantic found to messages with file, line and suggestion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from llenergymeasure.config.yaml_strict import DataPath, Document
from llenergymeasure.errors import ConfigError

# More problems than this are not read; the first ones are corrected first.
_MOST_TOLD = 20

# What a value should be, by pydantic's type of error.
_SHOULD = {
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "finite_number": "should be a finite number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "int_from_float": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_parsing_size": "should be a whole number that fits in 64 bits",
    "int_type": "should be a whole number",
    "list_type": "should be a list",
    "mapping_type": "should be a mapping, key: value",
    "model_type": "should be a mapping, key: value",
    "string_too_short": "should not be empty",
    "string_type": "should be text",
}

# Choices of a literal in pydantic's words: 'a', 'b' or 'c'.
_CHOICE = re.compile(r"'([^']*)'")


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


def config_error(
    problems: Sequence[Problem],
    document: Document | None,
    what: str = "configuration",
    flags: Collection[DataPath] = (),
) -> ConfigError:
    """One error that names every problem, each with its line when the data came from a file.

    ``what`` stands for a file where there is none; what lies at or below a path in ``flags`` was given on the command line.
    """
    if document is not None:
        problems = sorted(problems, key=lambda found: _in_order(document, found))
    told = [f"{_where(found, document, what, flags)}{_sentence(found)}" for found in problems[:_MOST_TOLD]]
    if len(problems) > _MOST_TOLD:
        told.append(f"… and {len(problems) - _MOST_TOLD} more")
    return ConfigError("\n".join(told))


def dotted(path: DataPath) -> str:
    """``("decoder", "top_p")`` as ``decoder.top_p``; places in lists count from 1: ``experiments[1]``."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text if text.isprintable() else repr(text)


def _in_order(document: Document, found: Problem) -> tuple[bool, int]:
    """By file, the document's own first, then by line."""
    path, line = document.place_of(found.path)
    return path != document.path, line or 0


def _where(found: Problem, document: Document | None, what: str, flags: Collection[DataPath]) -> str:
    if any(found.path[: len(flag)] == flag for flag in flags):
        return "flags: "
    if document is None:
        return f"{what}: "
    path, line = document.place_of(found.path)
    return f"{path}:{line}: " if line else f"{path}: "


def _sentence(found: Problem) -> str:
    subject = "" if not found.path or repr(found.path[-1]) in found.message else f"{found.key}: "
    return f"{subject}{found.message}{f' ({found.hint})' if found.hint else ''}"


def _problem(line: ErrorDetails, known: Mapping[DataPath, Sequence[str]]) -> Problem:
    path = tuple(line["loc"])
    if line["type"] == "extra_forbidden":
        hint = did_you_mean(str(path[-1]), known.get(path[:-1], ()))
        return Problem(path, f"unknown key {path[-1]!r}", hint or "remove it")
    return Problem(path, *_words(line))


def _words(line: ErrorDetails) -> tuple[str, str]:
    context = line.get("ctx") or {}
    if line["type"] == "problem":
        return str(context["text"]), str(context["hint"])
    if line["type"] == "missing":
        return "is needed and not given", f"write {line['loc'][-1]}: <value>"
    if line["type"] == "value_error":
        return str(context.get("error", line["msg"])), ""
    if line["type"] in _SHOULD:
        return f"{_SHOULD[line['type']]}, found {short(line['input'])}", ""
    message = line["msg"][0].lower() + line["msg"][1:]
    hint = did_you_mean(str(line["input"]), _CHOICE.findall(message)) if line["type"] == "literal_error" else ""
    return (
        f"{message.replace('input should', 'should')}, found {short(line['input'])}",
        hint if hint.startswith("did you") else "",
    )


def short(value: Any) -> str:
    """A value as it is shown in a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
