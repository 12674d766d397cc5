"""The header of a GGUF file: its metadata and the list of its tensors, without a weight and without its vocabulary.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The file is mapped, long arrays are stepped over, and every
length is checked before it is believed: a damaged file is a ``GgufError``, never a wait or a full memory.
"""

from __future__ import annotations

import hashlib
import itertools
import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from llenergymeasure.model.tensor import Tensor

Scalar = bool | int | float | str

# What no real file comes near; beyond it a file is damaged.
_MOST_KEYS, _MOST_TENSORS, _MOST_ITEMS, _MOST_DIMENSIONS = 100_000, 1_000_000, 10_000_000, 4
# Arrays up to this length are kept (one value a layer); longer ones are vocabularies.
_KEPT_ITEMS = 4096
_LONGEST_STRING = 64 * 1024 * 1024

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

# Type number: its name, the numbers in a block, the bytes of a block (ggml.h, ggml-common.h).
_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}
UNQUANTISED = frozenset({"F64", "F32", "F16", "BF16", "I8", "I16", "I32", "I64"})

_SHARD = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


class GgufError(ValueError):
    """A file is missing, not a GGUF, damaged, cut off, or not the first of a split model. ``hint`` says what would help."""

    def __init__(self, message: str, hint: str = "download it again") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What one file says of itself.

    ``metadata`` holds scalars, strings and short arrays; of a longer array ``lengths`` has only its length. The weights begin
    after the first ``header_bytes``. ``tokenizer_sha256`` is over every key and value that makes up the tokenizer.
    """

    path: Path
    file_bytes: int
    header_bytes: int
    metadata: Mapping[str, Scalar | tuple[Scalar, ...]]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]
    tokenizer_sha256: str


def read_headers(path: Path) -> tuple[GgufHeader, ...]:
    """The header of a file, and of the others where it is the first of a split model. Raises ``GgufError``."""
    files = shards(path)
    absent = [file.name for file in files if not file.is_file()]
    if absent == [path.name]:
        raise GgufError(f"{path}: no such file", "check the path of the model")
    if absent:
        raise GgufError(f"{path}: missing beside it: {', '.join(absent)}", "download all files of the model")
    return tuple(_read_file(file) for file in files)


def shards(path: Path) -> tuple[Path, ...]:
    """The files of a model: the one, or all parts of a split one, named by its first. Raises ``GgufError`` for another part."""
    split = _SHARD.match(path.name)
    if split is None:
        return (path,)
    count = int(split["count"])
    if int(split["number"]) != 1:
        first = path.with_name(f"{split['stem']}-00001-of-{split['count']}.gguf")
        raise GgufError(f"{path}: is part {split['number']} of a split model", f"name the first part: {first}")
    return tuple(path.with_name(f"{split['stem']}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1))


def _read_file(path: Path) -> GgufHeader:
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"GGUF":
                raise GgufError(f"{path}: not a GGUF file: it does not begin with GGUF")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data, path).header()
    except (OSError, struct.error, OverflowError, _DamagedError) as error:
        raise GgufError(f"{path}: not a readable GGUF file: {error}") from error


class _DamagedError(Exception):
    """The bytes contradict themselves."""


class _Reader:
    """Steps through a mapped file; ``position`` is the next byte."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._path = path
        self._size = len(data)
        self._position = 4

    def header(self) -> GgufHeader:
        version = self._number("<I")
        if version not in (2, 3):
            swapped = struct.unpack(">I", struct.pack("<I", version))[0]
            raise _DamagedError(
                "big-endian" if swapped in (1, 2, 3) else f"version {version}; versions 2 and 3 are read"
            )
        tensor_count = self._count("tensors", _MOST_TENSORS)
        metadata: dict[str, Scalar | tuple[Scalar, ...]] = {}
        lengths: dict[str, int] = {}
        tokenizer: dict[str, bytes] = {}
        for _ in range(self._count("keys", _MOST_KEYS)):
            key = self._string()
            begin = self._position
            value = self._value(self._number("<I"))
            if key.startswith("tokenizer."):
                tokenizer[key] = self._data[begin : self._position]
            if isinstance(value, _Skipped):
                lengths[key] = value.length
            else:
                metadata[key] = value
        places = [self._place() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= 1 << 20:
            raise _DamagedError(f"an alignment of {alignment}")
        start = -(-self._position // alignment) * alignment
        tensors = self._tensors(places, start)
        digest = hashlib.sha256()
        for key in sorted(tokenizer):
            digest.update(key.encode() + b"\0" + tokenizer[key])
        return GgufHeader(self._path, self._size, self._position, metadata, lengths, tensors, digest.hexdigest())

    def _number(self, layout: str) -> int:
        value: int = struct.unpack_from(layout, self._data, self._position)[0]
        self._position += struct.calcsize(layout)
        return value

    def _count(self, what: str, most: int) -> int:
        count = self._number("<Q")
        if count > most:
            raise _DamagedError(f"it claims {count:,} {what}")
        return count

    def _string(self) -> str:
        length = self._count("bytes in a string", _LONGEST_STRING)
        begin = self._position
        self._skip(length)
        return self._data[begin : self._position].decode("utf-8", errors="replace")

    def _skip(self, length: int) -> None:
        if length > self._size - self._position:
            raise _DamagedError(f"a value of {length:,} bytes runs past its end")
        self._position += length

    def _value(self, kind: int) -> Scalar | tuple[Scalar, ...] | _Skipped:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(_layout(kind))
        item, length = self._number("<I"), self._count("items in an array", _MOST_ITEMS)
        if item == _STRING:
            return self._skip_strings(length)
        size = struct.calcsize(_layout(item))
        begin = self._position
        self._skip(size * length)
        if length > _KEPT_ITEMS:
            return _Skipped(length)
        return struct.unpack_from(f"<{length}{_layout(item)[1]}", self._data, begin)

    def _skip_strings(self, length: int) -> _Skipped:
        data, position, unpack = self._data, self._position, struct.Struct("<Q").unpack_from
        for _ in range(length):  # a vocabulary has some 100,000: the one loop that takes time
            position += 8 + unpack(data, position)[0]
        if position > self._size:
            raise _DamagedError("a list of strings runs past its end")
        self._position = position
        return _Skipped(length)

    def _place(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        dimensions = self._number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise _DamagedError(f"tensor {name!r} has {dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return name, shape, self._number("<I"), self._number("<Q")

    def _tensors(self, places: list[tuple[str, tuple[int, ...], int, int]], start: int) -> tuple[Tensor, ...]:
        offsets = sorted({offset for *_, offset in places} | {self._size - start})
        after = dict(itertools.pairwise(offsets))
        tensors = []
        for name, shape, kind, offset in places:
            # A type newer than this table: its bytes are what lies before the next tensor, padding included.
            label, block, block_bytes = _TYPES.get(kind, (f"type-{kind}", 0, 0))
            size = prod(shape) // block * block_bytes if block else after.get(offset, offset) - offset
            if start + offset + size > self._size:
                missing = start + offset + size - self._size
                raise _DamagedError(f"cut off: {missing:,} bytes of tensor {name!r} are missing")
            tensors.append(Tensor(name, label, shape, size))
        return tuple(tensors)


@dataclass(frozen=True, slots=True)
class _Skipped:
    """An array that was stepped over."""

    length: int


def _layout(kind: int) -> str:
    if kind not in _SCALARS:
        raise _DamagedError(f"value type {kind} is not known")
    return _SCALARS[kind]
