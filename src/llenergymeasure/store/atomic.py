"""Files that are either whole or not there: written to a temporary name, flushed, renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llenergymeasure.errors import StoreError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on a clean exit it becomes ``path``, on an error it is removed.

    Raises ``StoreError`` naming the file when the file system refuses (full, read-only).
    """
    descriptor, name = -1, ""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        yield Path(name)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        _remove(name)
        raise StoreError(
            f"{path}: cannot be written: {error.strerror or error}", hint="free space, or another -o"
        ) from error
    except BaseException:
        _remove(name)
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def _remove(name: str) -> None:
    if name and os.path.exists(name):
        os.unlink(name)
