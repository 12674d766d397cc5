"""Rows of a data file, one after the other: JSONL, JSON, CSV, Parquet or plain text.

Nothing but a JSON array is read whole. Whatever is wrong with a file leaves as ``ConfigError`` with file and line.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.errors import ConfigError

_BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands (``file:line``), the names of its columns, and their values as Python's JSON types.

    A Parquet row holds values only for the columns that were wanted.
    """

    where: str
    columns: tuple[str, ...]
    values: Mapping[str, Any]


def read_rows(path: Path, shown: str, wanted: Collection[str]) -> Iterator[Row]:
    """The rows of ``path``, which errors call ``shown``. ``wanted``: columns that may be used. Raises ``ConfigError``."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise ConfigError(f"{shown}: {path.suffix or 'no suffix'} is not a format of prompts", hint=f"known: {known}")
    try:
        yield from reader(path, shown, wanted)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror or error}", hint="check the path") from error


def _lines(path: Path, shown: str) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line, its line break included."""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                message = f"{shown}:{number}: is not UTF-8 text (byte {error.start + 1} of the line)"
                raise ConfigError(message, hint="save the file as UTF-8") from error
            yield number, line


def _text(path: Path, shown: str, wanted: Collection[str]) -> Iterator[Row]:
    for number, line in _lines(path, shown):
        yield Row(f"{shown}:{number}", ("text",), {"text": line.rstrip("\r\n")})


def _json(path: Path, shown: str, wanted: Collection[str]) -> Iterator[Row]:
    """An array of rows, or one row a line: both are found under either suffix."""
    for _, line in _lines(path, shown):
        if line.strip():
            return _array(path, shown) if line.lstrip().startswith("[") else _jsonl(path, shown)
    return iter(())


def _jsonl(path: Path, shown: str) -> Iterator[Row]:
    for number, line in _lines(path, shown):
        if line.strip():
            yield _row(f"{shown}:{number}", _parsed(line, shown, number))


def _array(path: Path, shown: str) -> Iterator[Row]:
    text = "".join(line for _, line in _lines(path, shown))
    for number, value in enumerate(_parsed(text, shown, 1), start=1):
        yield _row(f"{shown}: entry {number}", value)


def _parsed(text: str, shown: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{shown}:{first_line + error.lineno - 1}"
        raise ConfigError(f"{where}: not valid JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise ConfigError(f"{shown}:{first_line}: not JSON that can be read: {error}") from error


def _row(where: str, value: Any) -> Row:
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected an object or a text, found {type(value).__name__}")
    return Row(where, tuple(value), value)


def _csv(path: Path, shown: str, wanted: Collection[str]) -> Iterator[Row]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default stops at 128 KiB: long prompts are longer
    reader = csv.reader((line for _, line in _lines(path, shown)), strict=True)
    header: tuple[str, ...] = ()
    begin = 1
    try:
        for fields in reader:
            where, begin = f"{shown}:{begin}", reader.line_num + 1
            if not header:
                header = tuple(name.strip() for name in fields)
            elif fields and len(fields) != len(header):
                raise ConfigError(f"{where}: {len(fields)} fields, but the header has {len(header)}")
            elif fields:
                yield Row(where, header, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise ConfigError(f"{shown}:{begin}: not valid CSV: {error}") from error


def _parquet(path: Path, shown: str, wanted: Collection[str]) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = tuple(file.schema_arrow.names)
            chosen = [name for name in columns if name in wanted]
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=chosen):
                for values in batch.to_pylist() if chosen else [{}]:
                    number += 1
                    yield Row(f"{shown}: row {number}", columns, values)
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{shown}: not a Parquet file that can be read: {error}") from error


READERS: dict[str, Callable[[Path, str, Collection[str]], Iterator[Row]]] = {
    ".jsonl": _json,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".txt": _text,
}
