"""A GGUF's headers, with their errors as this backend reports them."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.errors import BackendError
from llenergymeasure.model.gguf import GgufError, GgufHeader, read_headers


def headers_of(path: str) -> tuple[GgufHeader, ...]:
    """The headers of all files of a model, the first of a split one named. Raises ``BackendError``."""
    try:
        return read_headers(Path(path))
    except GgufError as error:
        raise BackendError(str(error), hint=error.hint) from error
