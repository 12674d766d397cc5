"""The reader of safetensors headers, and the digest of weights."""

import json

import pytest

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.safetensors import read_safetensors, shard_names
from llenergymeasure.models.weights import WeightFile, sampled_digest
from llenergymeasure.testing.model_files import write_safetensors


def test_bytes_and_counts_are_exact(tmp_path):
    """Sizes and types come from the headers of all files."""
    first = write_safetensors(tmp_path / "a.safetensors", {"x": (4, 8), "y": (3,)})
    second = write_safetensors(tmp_path / "b.safetensors", {"z": (2, 2)}, kind="F32")
    weights = read_safetensors((first, second))
    assert weights.bytes == (32 + 3) * 2 + 4 * 4
    assert weights.elements_by_type() == {"BF16": 35, "F32": 4}
    assert [file.path for file in weights.files] == [first, second]


def header(value, tail=b""):
    text = json.dumps(value).encode()
    return len(text).to_bytes(8, "little") + text + tail


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "header of 0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "header of"),
        ((2**60).to_bytes(8, "little") + b"{}", "header of"),
        (header([]), "not a safetensors file"),
        (header({"x": {"dtype": "F32"}}), "not a safetensors file"),
        (header({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)), "no valid shape"),
        (header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, bytes(8)), "no valid shape"),
        (header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(3)), "5 of .* bytes are missing"),
    ],
)
def test_damage_is_named(tmp_path, content, says):
    """A file that is no safetensors file, or not all of one, is refused by name with a remedy."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_safetensors((path,))
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_an_index_names_each_file_once(tmp_path):
    """The files of an index come sorted and without repetition."""
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}))
    assert shard_names(index) == ("1.safetensors", "2.safetensors")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../x"}}', '{"weight_map": {"a": 1}}']
)
def test_a_broken_index_is_refused(tmp_path, text):
    """An index that names nothing, or a file elsewhere, is refused."""
    index = tmp_path / "index.json"
    index.write_text(text)
    with pytest.raises(ConfigError, match=r"index\.json"):
        shard_names(index)


def weight_file(path, content, header_bytes=16):
    path.write_bytes(content)
    return WeightFile(path, len(content), header_bytes)


def test_equal_files_have_equal_digests_under_any_name(tmp_path):
    """A copy elsewhere is the same model, and the digest says that it is a sample."""
    content = bytes(range(256)) * 40_000
    first = sampled_digest([weight_file(tmp_path / "a", content)])
    assert first == sampled_digest([weight_file(tmp_path / "b", content)])
    assert first.startswith("sampled:")


@pytest.mark.parametrize("position", [0, 15, 16, 5_000_000, -1])
def test_a_changed_block_changes_the_digest(tmp_path, position):
    """The header, the first and the last weights and what lies under a sample all count."""
    content = bytearray(10_000_000)
    before = sampled_digest([weight_file(tmp_path / "a", content)])
    if position == 5_000_000:
        content[position : position + 200_000] = b"x" * 200_000
    else:
        content[position] = 1
    assert sampled_digest([weight_file(tmp_path / "a", content)]) != before


def test_a_longer_file_has_another_digest(tmp_path):
    """The size counts, also where a file is shorter than one sample."""
    digests = {sampled_digest([weight_file(tmp_path / "a", bytes(size))]) for size in (16, 17, 1000, 1001)}
    assert len(digests) == 4
