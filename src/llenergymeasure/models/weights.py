"""Stored weights, as the headers of their files describe them: exact sizes and counts without reading a weight."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.model.tensor import Tensor

# A digest reads this many blocks of this size from each file, evenly spread, the first and the last among them.
_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of weights; its first ``header_bytes`` describe the rest."""

    path: Path
    bytes: int
    header_bytes: int


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """The weights of a model. ``tensors`` is empty where the files have no header to read (PyTorch pickles)."""

    files: tuple[WeightFile, ...]
    tensors: tuple[Tensor, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of all weights; of the files where tensors are not described."""
        if not self.tensors:
            return sum(file.bytes for file in self.files)
        return sum(tensor.bytes for tensor in self.tensors)

    def elements_by_type(self) -> Mapping[str, int]:
        """How many numbers are stored as each type."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors:
            counts[tensor.type] += tensor.elements
        return counts


def sampled_digest(files: Sequence[WeightFile]) -> str:
    """``sampled:`` and a SHA-256 over each file's size, its header, and 64 blocks of 64 KiB spread over its weights.

    Equal files give equal digests on any machine and under any name, and a file of any size takes milliseconds. Another training,
    quantisation or shape changes every block and so the digest; an edit of a few weights between the blocks can go unseen, which
    is why the digest says that it is sampled. Raises ``OSError``.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.bytes.to_bytes(8, "little"))
        with open(file.path, "rb") as source:
            digest.update(source.read(file.header_bytes))
            last = max(file.header_bytes, file.bytes - _SAMPLE_BYTES)
            for index in range(_SAMPLES):
                source.seek(file.header_bytes + (last - file.header_bytes) * index // (_SAMPLES - 1))
                digest.update(source.read(_SAMPLE_BYTES))
    return "sampled:" + digest.hexdigest()
