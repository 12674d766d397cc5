"""Prompts in a file of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from llenergymeasure.datasets.rows import read_rows
from llenergymeasure.datasets.table import Columns, TableDataset
from llenergymeasure.errors import ConfigError


def open_file(path: Path, columns: Columns) -> TableDataset:
    """The dataset in a file. Raises ``ConfigError`` when it cannot be read."""
    return TableDataset(
        name=path.name,
        sha256=sha256_with(file_sha256(path), columns),
        licence=None,
        columns=columns,
        rows=lambda: read_rows(path, str(path), columns.wanted),
    )


def file_sha256(path: Path) -> str:
    """Over the bytes of the file, which are never all in memory. Raises ``ConfigError``."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error


def sha256_with(sha256: str, columns: Columns) -> str:
    """The hash of the content; columns that were asked for by name are part of it, since they make other prompts."""
    named: Collection[str | None] = (columns.prompt, columns.max_new_tokens)
    if not any(named):
        return sha256
    return hashlib.sha256(f"{sha256} {named!r}".encode()).hexdigest()
