"""YAML as a person means it: plain data with the line of every key, or a clear error.

Built from the parser's events, without recursion: nesting and expansion through aliases are bounded, duplicate keys are errors,
and tags construct nothing. Plain scalars follow YAML 1.2: ``no`` and ``12:30`` are text, ``1e3`` is a number, ``08`` is eight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from llenergymeasure.errors import ConfigError

# A path into the data: keys and list indices.
DataPath = tuple[str | int, ...]

_MAX_BYTES = 4_000_000
_MAX_DEPTH = 32
_MAX_NODES = 200_000
_MAX_KEYS = 500
_MAX_KEY = 200
_MAX_DIGITS = 300

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_INT = re.compile(r"[-+]?\d+(?:_\d+)*")
_BASED = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?")
# Text: to compile it takes longer than to read a study, and it is wanted for a message alone.
_FORBIDDEN = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_STR_TAG = "tag:yaml.org,2002:str"


class WrittenInt(int):
    """A whole number that remembers how it was written, for fields that hold text (a revision of digits)."""

    text: str


class WrittenFloat(float):
    """A number that remembers how it was written, for fields that hold text (the revision ``12e4567``)."""

    text: str


def as_written(value: object) -> object:
    """The text of a number that remembers it; anything else as it is."""
    return value.text if isinstance(value, WrittenInt | WrittenFloat) else value


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file as plain data, with the text it was read from.

    ``lines`` gives the line (from 1) of each key and list entry by its path. ``base`` is the file that this one was laid over,
    whose data are among ``data``.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[DataPath, int] = field(default_factory=dict)
    text: str = ""
    base: Document | None = None

    def line_of(self, path: DataPath) -> int | None:
        """The line of ``path``, or of the nearest enclosing entry that stands in this file."""
        found = self._nearest(path)
        return self.lines[found] if found else None

    def place_of(self, path: DataPath) -> tuple[Path, int | None]:
        """(file, line) of ``path``, or of the nearest enclosing entry: in this file, or in its base where that is nearer."""
        if self.base is not None and len(self.base._nearest(path)) > len(self._nearest(path)):
            return self.base.place_of(path)
        return self.path, self.line_of(path)

    def _nearest(self, path: DataPath) -> DataPath:
        while path and path not in self.lines:
            path = path[:-1]
        return path


def load_yaml(path: Path, *, may_be_empty: bool = False) -> Document:
    """The mapping in a YAML file. Raises ``ConfigError`` with file and line."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_MAX_BYTES + 1)  # never more: a device file has no end
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}: cannot be read: {error}", hint="check the path") from error
    if len(raw) > _MAX_BYTES:
        raise ConfigError(
            f"{path}: more than {_MAX_BYTES:,} bytes are too many for a configuration", hint="is it the right file?"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: is not UTF-8 text (byte {error.start})", hint="save the file as UTF-8"
        ) from error
    return parse_yaml(text, path, may_be_empty=may_be_empty)


def parse_yaml(text: str, path: Path, *, may_be_empty: bool = False) -> Document:
    """The mapping in a YAML text; ``path`` names it in errors."""
    builder = _Builder(path)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = error.problem or error.context or ""
        raise ConfigError(f"{path}{where}: not valid YAML: {problem}", hint=_remedy(problem, text, mark)) from error
    except yaml.reader.ReaderError as error:
        line, name = _unreadable(text, error)
        raise ConfigError(f"{path}:{line}: the character {name} is not allowed", hint="remove it") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}", hint="is it the right file?") from error
    data = builder.root
    if data is None or data == {}:
        if may_be_empty:
            return Document(path, {}, text=text)
        raise ConfigError(f"{path}: the file is empty", hint="it needs at least: model: <name>")
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}:1: expected settings as `key: value`, found {_kind(data)}", hint="for example: model: <name>"
        )
    return Document(path, data, builder.all_lines(), text)


def _remedy(problem: str, text: str, mark: Any) -> str:
    """What to do about an error of the parser, whose words are about grammar."""
    lines = text.splitlines()
    if mark and mark.line < len(lines) and "\t" in lines[mark.line]:
        return "use spaces instead of tabs"
    if "mapping values" in problem or "expected key" in problem or "block" in problem:
        return "check the indentation here and above; text that holds ': ' needs quotes"
    if "escape" in problem:
        return "in double quotes a backslash begins an escape: double it, or use single quotes"
    if "depth" in problem:
        return "is it the right file?"
    return "check quotes, brackets and indentation here and above"


def _unreadable(text: str, error: yaml.reader.ReaderError) -> tuple[int, str]:
    """(line, name) of the first character that YAML does not allow; the parser tells its place in bytes or in characters."""
    found = re.search(_FORBIDDEN, text)
    if found is None:
        return 1, str(error.reason)
    return text.count("\n", 0, found.start()) + 1, f"U+{ord(found[0]):04X}"


def scalar(text: str) -> Any:
    """What a plain scalar means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    if len(text) > _MAX_DIGITS:
        return text
    if _BASED.fullmatch(text):
        return _written_int(int(text, 0), text)
    if _INT.fullmatch(text):
        return _written_int(int(text.replace("_", "")), text)
    if _FLOAT.fullmatch(text):
        number = WrittenFloat(text)
        number.text = text
        return number
    return text


def _written_int(value: int, text: str) -> WrittenInt:
    number = WrittenInt(value)
    number.text = text
    return number


@dataclass(slots=True)
class _Open:
    """A collection under construction."""

    value: dict[str, Any] | list[Any]
    path: DataPath
    anchor: str | None
    key: str | None = None
    merge: bool = False


class _Builder:
    """Turns events into data."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack: list[_Open] = []
        self._anchors: dict[str, Any] = {}
        self._nodes = 0
        self._documents = 0
        self._merged: dict[DataPath, int] = {}
        self.root: Any = None
        self.lines: dict[DataPath, int] = {}

    def all_lines(self) -> dict[DataPath, int]:
        """Of a key that ``<<`` brought in, the line of the merge."""
        return self._merged | self.lines

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._error(event, "a second document begins here", "keep one document a file")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._begin(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            done = self._stack.pop()
            self._place(event, done.value, done.anchor)

    def _scalar(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None and not top.merge:
            self._key(event, top)
            return
        if event.tag not in (None, "!", _STR_TAG):
            raise self._error(event, f"the tag {event.tag} is not allowed", "write a plain value")
        plain = event.implicit[0] and event.tag is None
        self._place(event, scalar(event.value) if plain else event.value, event.anchor)

    def _key(self, event: Any, top: _Open) -> None:
        assert isinstance(top.value, dict)
        key = event.value
        if key == "<<" and event.implicit[0]:
            top.merge = True
            return
        if len(key) > _MAX_KEY:
            raise self._error(event, f"a key of {len(key):,} characters", "is a quote missing?")
        here = (*top.path, key)
        if here in self.lines:  # a key that << merged in has no line, and gives way
            first = self.lines[here]
            raise self._error(event, f"{key!r} stands here again (first in line {first})", "remove one of the two")
        if len(top.value) >= _MAX_KEYS:
            raise self._error(event, f"more than {_MAX_KEYS} keys in one mapping", "is it the right file?")
        top.key = key
        self.lines[here] = event.start_mark.line + 1

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._error(event, f"*{event.anchor} refers to nothing above", f"define it with &{event.anchor}")
        self._place(event, self._copy(event, self._anchors[event.anchor]), None)

    def _copy(self, event: Any, value: Any, depth: int = 0) -> Any:
        """A copy that counts: an alias to an alias to an alias may stand for a billion values."""
        self._count(event)
        if depth > _MAX_DEPTH:
            raise self._error(event, f"nested more than {_MAX_DEPTH} levels deep", "is it the right file?")
        if isinstance(value, dict):
            return {key: self._copy(event, item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._copy(event, item, depth + 1) for item in value]
        return value

    def _begin(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None and not top.merge:
            raise self._error(event, "a list or mapping cannot be a key", "is a colon missing, or a brace too many?")
        if event.tag not in (None, "!"):
            raise self._error(event, f"the tag {event.tag} is not allowed", "write a plain value")
        if len(self._stack) >= _MAX_DEPTH:
            raise self._error(event, f"nested more than {_MAX_DEPTH} levels deep", "is it the right file?")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(value, self._next_path(), event.anchor))

    def _next_path(self) -> DataPath:
        if not self._stack:
            return ()
        top = self._stack[-1]
        return (
            (*top.path, "<<" if top.key is None else top.key)
            if isinstance(top.value, dict)
            else (*top.path, len(top.value))
        )

    def _place(self, event: Any, value: Any, anchor: str | None) -> None:
        self._count(event)
        if anchor is not None:
            self._anchors[anchor] = value
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        if isinstance(top.value, list):
            self.lines[(*top.path, len(top.value))] = event.start_mark.line + 1
            top.value.append(value)
        elif top.merge:
            self._merge(event, top, value)
        else:
            assert top.key is not None
            top.value[top.key] = value
            top.key = None

    def _merge(self, event: Any, top: _Open, value: Any) -> None:
        """``<<``: what is merged in never replaces a key that stands there."""
        assert isinstance(top.value, dict)
        top.merge = False
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise self._error(event, "<< needs a mapping", "merge an anchor of a mapping: <<: *name")
            for key, item in part.items():
                top.value.setdefault(key, item)
                self._merged.setdefault((*top.path, key), event.start_mark.line + 1)

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise self._error(event, f"more than {_MAX_NODES:,} values", "aliases of aliases grow without measure")

    def _error(self, event: Any, message: str, hint: str) -> ConfigError:
        mark = event.start_mark
        return ConfigError(f"{self._path}:{mark.line + 1}:{mark.column + 1}: {message}", hint=hint)


def leaves(data: Any, path: DataPath = ()) -> Iterator[tuple[DataPath, Any]]:
    """All values that are neither mappings nor lists, with their paths."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"{value!r}"[:60]
