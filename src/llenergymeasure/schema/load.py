"""Records from files, of this version of the schema and of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from llenergymeasure.errors import StoreError
from llenergymeasure.schema.quantity import Record

SCHEMA_VERSION = "2.0"

R = TypeVar("R", bound=Record)


def load(kind: type[R], path: Path, **fields: Any) -> R:
    """The record in a file, with further ``fields``; newer minor versions load. Raises ``StoreError`` for a file that is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        version = str(value.get("schema_version", SCHEMA_VERSION)) if isinstance(value, dict) else SCHEMA_VERSION
        if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise StoreError(
                f"{path}: schema {version}, this program reads {SCHEMA_VERSION}", hint="use a newer llenergymeasure"
            )
        return kind.model_validate({**value, **fields} if fields and isinstance(value, dict) else value)
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: not a result: {error}") from error
