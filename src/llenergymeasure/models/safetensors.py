"""Headers of safetensors files: eight bytes of length, a JSON object of tensors, then the weights.

Format: https://huggingface.co/docs/safetensors. Several files are joined by an index that names the file of each tensor.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llenergymeasure.errors import ConfigError
from llenergymeasure.model.tensor import Tensor
from llenergymeasure.models.weights import StoredWeights, WeightFile

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# The format's own limit.
_LONGEST_HEADER = 100_000_000


def shard_names(index: Path) -> tuple[str, ...]:
    """The files that an index names, sorted. Raises ``ConfigError`` for one that is not an index."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{index}: not an index of weights: {error}", hint="download the model again") from error
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise ConfigError(f"{index}: names no file, or one outside its folder", hint="download the model again")
    return tuple(sorted(names))


def read_safetensors(paths: tuple[Path, ...]) -> StoredWeights:
    """The weights in some files. Raises ``ConfigError`` naming a file that is damaged or cut off."""
    headers = [_header(path) for path in paths]
    files = tuple(file for file, _ in headers)
    return StoredWeights(files, tuple(tensor for _, tensors in headers for tensor in tensors))


def _header(path: Path) -> tuple[WeightFile, list[Tensor]]:
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
            entries = json.loads(file.read(length))
        tensors = [_tensor(name, entry) for name, entry in entries.items() if name != "__metadata__"]
        end = (
            8
            + length
            + max((entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ConfigError(f"{path}: not a safetensors file: {error}", hint="download it again") from error
    if end > size:
        raise ConfigError(f"{path}: cut off: {end - size:,} of {end:,} bytes are missing", hint="download it again")
    return WeightFile(path, size, 8 + length), tensors


def _tensor(name: str, entry: Any) -> Tensor:
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(number) is int and number >= 0 for number in (begin, end, *shape)) or begin > end:
        raise ValueError(f"tensor {name!r} has no valid shape or place")
    return Tensor(name, str(entry["dtype"]), shape, end - begin)
