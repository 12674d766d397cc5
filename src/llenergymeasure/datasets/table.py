"""Prompts out of rows: which column, what a row means, and the dataset that rows make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from llenergymeasure.config.problems import did_you_mean
from llenergymeasure.datasets.rows import Row
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.inputs import Message, Prompt

# Looked for in this order; the last two hold chats.
COLUMNS = ("prompt", "text", "question", "instruction", "input", "content", "messages", "conversations")
MAX_NEW_TOKENS = "max_new_tokens"

# Names that the field uses for the two sides of a chat beside user and assistant.
_ROLES = {"human": "user", "gpt": "assistant"}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are asked for; ``None`` where the file may decide."""

    prompt: str | None = None
    max_new_tokens: str | None = None

    @property
    def wanted(self) -> Collection[str]:
        """Every column that may be read."""
        prompt = COLUMNS if self.prompt is None else (self.prompt,)
        return {*prompt, self.max_new_tokens or MAX_NEW_TOKENS}


class TableDataset:
    """A dataset of rows, read anew each time. Satisfies ``datasets.contract.Dataset``.

    The first row decides which column holds the prompts. Rows whose text is blank are left out.
    """

    def __init__(
        self, name: str, sha256: str, licence: str | None, columns: Columns, rows: Callable[[], Iterator[Row]]
    ) -> None:
        self.name = name
        self.sha256 = sha256
        self.licence = licence
        self._columns = columns
        self._rows = rows

    @cached_property
    def size(self) -> int:
        """The number of prompts: all rows are read, the first time."""
        return sum(1 for _ in self._prompts())

    def prompts(self, n: int, seed: int) -> tuple[Prompt, ...]:
        return tuple(islice(self._prompts(), n))

    def _prompts(self) -> Iterator[Prompt]:
        column: str | None = None
        for row in self._rows():
            column = column or _column(row, self._columns)
            prompt = _prompt(row, column, self._columns.max_new_tokens)
            if prompt is not None:
                yield prompt


def _column(row: Row, columns: Columns) -> str:
    """The column of the prompts, by the first row."""
    if columns.max_new_tokens is not None:
        _check(row, columns.max_new_tokens)
    if columns.prompt is not None:
        return _check(row, columns.prompt)
    for name in COLUMNS:
        if name in row.columns:
            return name
    raise ConfigError(
        f"{row.where}: no column is called {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]} (there: {_listed(row)})",
        hint="name one: dataset: {path: …, column: …}",
    )


def _check(row: Row, name: str) -> str:
    if name not in row.columns:
        hint = did_you_mean(name, row.columns)
        raise ConfigError(f"{row.where}: there is no column {name!r} (there: {_listed(row)})", hint=hint)
    return name


def _listed(row: Row) -> str:
    return ", ".join(row.columns) or "none"


def _prompt(row: Row, column: str, max_new_tokens: str | None) -> Prompt | None:
    """The prompt of a row; ``None`` for a blank one."""
    value = row.values[_check(row, column)]
    limit = _limit(row, max_new_tokens or MAX_NEW_TOKENS)
    if isinstance(value, str):
        return Prompt(_writable(row, column, value), max_new_tokens=limit) if value.strip() else None
    if isinstance(value, list):
        return Prompt(messages=_chat(row, column, value), max_new_tokens=limit)
    raise ConfigError(f"{row.where}: {column} holds {_kind(value)}, not text or a list of messages")


def _chat(row: Row, column: str, turns: list[Any]) -> tuple[Message, ...]:
    """The chat up to the last turn that is not the assistant's: what follows is the answer that the model is to give."""
    messages = [_message(row, column, number, turn) for number, turn in enumerate(turns, start=1)]
    while messages and messages[-1].role == "assistant":
        messages.pop()
    if not messages:
        raise ConfigError(f"{row.where}: {column} holds no message to answer")
    return tuple(messages)


def _message(row: Row, column: str, number: int, turn: Any) -> Message:
    """``{role, content}``, or ``{from, value}`` as in ShareGPT."""
    if isinstance(turn, dict):
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if isinstance(role, str) and isinstance(content, str):
            return Message(_ROLES.get(role, role), _writable(row, column, content))
    raise ConfigError(f"{row.where}: message {number} of {column} is not {{role, content}} with text in both")


def _limit(row: Row, column: str) -> int | None:
    """The output tokens of a row. Readers of other programs turn whole numbers with gaps into 12.0 and text into "12"."""
    value = row.values.get(column)
    if value is None or value == "":
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        number = 0.0
    if not 1 <= number < 2**31 or number != int(number):
        raise ConfigError(f"{row.where}: {column} is {value!r}, not a number of tokens")
    return int(number)


def _writable(row: Row, column: str, text: str) -> str:
    """The text, unless it is no text at all: JSON can spell halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"{row.where}: {column} holds half a character (position {error.start + 1})"
        raise ConfigError(message, hint="write the whole surrogate pair, or remove it") from error
    return text


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
