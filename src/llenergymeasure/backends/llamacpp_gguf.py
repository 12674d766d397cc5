"""What the worker needs of a GGUF header: the types its weights are stored in, and the identity of its tokenizer.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Values are stepped over, never kept.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from llenergymeasure.errors import BackendError

# Bytes of each type of value; a string and an array say their own length.
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9

_SHARD = re.compile(r"-00001-of-(\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Weight types are ggml's numbers, ascending; the digest is over every key and value that makes up the tokenizer."""

    weight_types: tuple[int, ...]
    tokenizer_sha256: str
    has_chat_template: bool


def read_header(path: Path) -> GgufHeader:
    """The header of a file, and of the others where it is the first of a split model.

    Raises ``BackendError`` for a file that is missing or is not a readable GGUF file.
    """
    headers = [_read_file(shard) for shard in shards(path)]
    types = {number for header in headers for number in header.weight_types}
    return replace(headers[0], weight_types=tuple(sorted(types)))


def shards(path: Path) -> Iterator[Path]:
    """The files of a model: the one, or all parts of a split one."""
    split = _SHARD.search(path.name)
    if split is None:
        yield path
        return
    for number in range(1, int(split[1]) + 1):
        yield path.with_name(path.name.replace("-00001-of-", f"-{number:05d}-of-"))


def _read_file(path: Path) -> GgufHeader:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"GGUF":
                raise BackendError(f"{path}: not a GGUF file", hint="download it again, or name another file")
            return _Walk(data).header()
    except FileNotFoundError as error:
        raise BackendError(f"{path}: no such file", hint="check the path of the model") from error
    except (OSError, ValueError, KeyError, OverflowError, struct.error) as error:
        raise BackendError(f"{path}: not a readable GGUF file: {error}", hint="download it again") from error


class _Walk:
    """Steps through a mapped header."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._position = 8

    def header(self) -> GgufHeader:
        tensors, keys = self._number("<Q"), self._number("<Q")
        tokenizer = dict(self._tokenizer_values(keys))
        digest = hashlib.sha256()
        for key in sorted(tokenizer):
            digest.update(key + b"\0" + tokenizer[key])
        types = {self._tensor_type() for _ in range(tensors)}
        return GgufHeader(tuple(sorted(types)), digest.hexdigest(), b"tokenizer.chat_template" in tokenizer)

    def _tokenizer_values(self, keys: int) -> Iterator[tuple[bytes, bytes]]:
        """(key, bytes of the value with its type) of each key that belongs to the tokenizer."""
        for _ in range(keys):
            key = self._string()
            begin = self._position
            self._skip_value(self._number("<I"))
            if key.startswith(b"tokenizer."):
                yield key, self._data[begin : self._position]

    def _tensor_type(self) -> int:
        self._string()
        self._skip(8 * self._number("<I"))
        kind = self._number("<I")
        self._skip(8)
        return kind

    def _skip_value(self, kind: int) -> None:
        if kind == _STRING:
            self._string()
        elif kind == _ARRAY:
            item, length = self._number("<I"), self._number("<Q")
            if item == _STRING:
                self._skip_strings(length)
            else:
                self._skip(_VALUE_BYTES[item] * length)
        else:
            self._skip(_VALUE_BYTES[kind])

    def _skip_strings(self, length: int) -> None:
        data, position, unpack = self._data, self._position, struct.Struct("<Q").unpack_from
        for _ in range(length):  # a vocabulary has some 100,000
            position += 8 + unpack(data, position)[0]
        self._position = position

    def _string(self) -> bytes:
        length = self._number("<Q")
        begin = self._position
        self._skip(length)
        return self._data[begin : self._position]

    def _number(self, layout: str) -> int:
        value: int = struct.unpack_from(layout, self._data, self._position)[0]
        self._position += struct.calcsize(layout)
        return value

    def _skip(self, length: int) -> None:
        self._position += length
        if self._position > len(self._data):
            raise ValueError("it is cut off")
