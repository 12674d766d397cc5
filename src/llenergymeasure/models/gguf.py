"""A model in GGUF as the host sees it: what the headers of its files say, with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.errors import ConfigError
from llenergymeasure.model.gguf import UNQUANTISED, GgufError, Scalar, read_headers
from llenergymeasure.models.weights import StoredWeights, WeightFile


@dataclass(frozen=True, slots=True)
class Gguf:
    """What a GGUF says of itself. ``metadata`` holds scalars, strings and short arrays; of a longer array only its length.

    Weights cover all files of a split model, the rest is of its first.
    """

    metadata: Mapping[str, Scalar | tuple[Scalar, ...]]
    lengths: Mapping[str, int]
    weights: StoredWeights

    @property
    def quantised(self) -> bool:
        return any(tensor.type not in UNQUANTISED for tensor in self.weights.tensors)


def read_gguf(path: Path) -> Gguf:
    """The header of a file, and of the others where it is the first of a split model.

    Raises ``ConfigError`` for a file that is missing, not a GGUF, damaged, cut off, or of another byte order.
    """
    try:
        headers = read_headers(path)
    except GgufError as error:
        raise ConfigError(str(error), hint=error.hint) from error
    files = tuple(WeightFile(header.path, header.file_bytes, header.header_bytes) for header in headers)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    return Gguf(headers[0].metadata, headers[0].lengths, StoredWeights(files, tensors))
