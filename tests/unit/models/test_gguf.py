"""The reader of GGUF headers."""

import struct

import pytest

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.gguf import read_gguf
from llenergymeasure.models.gguf_file import open_gguf
from llenergymeasure.testing.model_files import gguf_metadata, gguf_tensors, write_gguf

PARAMETERS = 512 * 64 + 2 * (2 * 64 + 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96) + 64


def test_metadata_and_tensors_come_back(tmp_path):
    """What a file says of itself is read; of a vocabulary only the length is kept."""
    metadata = gguf_metadata(layer_kinds=[1, 2], scale=0.5, causal=True) | {"general.name": "tiny"}
    header = read_gguf(write_gguf(tmp_path / "m.gguf", metadata))
    assert header.metadata["general.name"] == "tiny"
    assert header.metadata["llama.layer_kinds"] == (1, 2)
    assert header.metadata["llama.scale"] == 0.5
    assert header.metadata["llama.causal"] is True
    assert header.lengths == {"tokenizer.ggml.tokens": 512}
    assert {tensor.name for tensor in header.weights.tensors} == set(gguf_tensors())


def test_bytes_and_counts_are_those_of_the_blocks(tmp_path):
    """Weight bytes follow from the block sizes of the types, and every number is counted once."""
    weights = read_gguf(write_gguf(tmp_path / "m.gguf")).weights
    vectors = 5 * 64
    assert weights.elements_by_type() == {"Q8_0": PARAMETERS - vectors, "F32": vectors}
    assert weights.bytes == (PARAMETERS - vectors) // 32 * 34 + vectors * 4


def test_long_arrays_of_numbers_are_stepped_over(tmp_path):
    """An array longer than any number of layers leaves only its length."""
    header = read_gguf(write_gguf(tmp_path / "m.gguf", gguf_metadata() | {"scores": [0.5] * 5000}))
    assert header.lengths["scores"] == 5000
    assert "scores" not in header.metadata


@pytest.mark.parametrize(("kind", "quantised"), [("F16", False), ("F32", False), ("Q4_0", True)])
def test_a_block_type_makes_it_quantised(tmp_path, kind, quantised):
    """A file is quantised when any of its tensors is stored in blocks."""
    assert read_gguf(write_gguf(tmp_path / "m.gguf", tensors=gguf_tensors(kind=kind))).quantised is quantised


def test_a_type_newer_than_the_table_is_measured_by_its_gap(tmp_path):
    """The bytes of an unknown type are those up to the next tensor."""
    path = write_gguf(tmp_path / "m.gguf", {"a": 1}, {"x": ((64, 4), "F32"), "y": ((32,), "F32")})
    data = bytearray(path.read_bytes())
    place = data.index(b"x") + 1 + 4 + 2 * 8
    data[place : place + 4] = struct.pack("<I", 250)
    path.write_bytes(data)
    first = read_gguf(path).weights.tensors[0]
    assert (first.type, first.bytes) == ("type-250", 64 * 4 * 4)


def test_parts_of_a_split_model_are_joined(tmp_path):
    """The first part of a split model stands for all; weights are those of every part."""
    tensors = list(gguf_tensors().items())
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", tensors=dict(tensors[:5]))
    write_gguf(tmp_path / "m-00002-of-00002.gguf", {"split.no": 1}, dict(tensors[5:]))
    model = open_gguf(first)
    assert model.architecture is not None
    assert model.architecture.parameters == PARAMETERS


def test_a_missing_part_is_named(tmp_path):
    """A split model that is not whole names what is missing."""
    with pytest.raises(ConfigError, match=r"m-00002-of-00003\.gguf, m-00003-of-00003\.gguf"):
        read_gguf(write_gguf(tmp_path / "m-00001-of-00003.gguf"))


def test_a_later_part_points_to_the_first(tmp_path):
    """Naming the second part of a split model is answered with the name of the first."""
    with pytest.raises(ConfigError) as caught:
        read_gguf(write_gguf(tmp_path / "m-00002-of-00002.gguf"))
    assert "m-00001-of-00002.gguf" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "does not begin with GGUF"),
        (b"PK\3\4 a wheel", "does not begin with GGUF"),
        (b"GGUF", "not a readable GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "claims 1,152,921,504,606,846,976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "keys"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "bytes in a string"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**20), "runs past its end"),
        (b"GGUF" + struct.pack("<IQQQcI", 3, 0, 1, 1, b"k", 99), "value type 99"),
        (b"GGUF" + struct.pack("<IQQQcIIQ", 3, 0, 1, 1, b"k", 9, 8, 2**60), "items in an array"),
        (b"GGUF" + struct.pack("<IQQQcIIQQ", 3, 0, 1, 1, b"k", 9, 8, 1, 2**63), "past its end"),
        (b"GGUF" + struct.pack("<IQQQcIIQQ", 3, 0, 1, 1, b"k", 9, 8, 2, 2**63 + 2**62), "not a readable GGUF"),
        (b"GGUF" + struct.pack("<IQQQcI", 3, 1, 0, 1, b"t", 9), "has 9 dimensions"),
    ],
)
def test_damage_is_named(tmp_path, content, says):
    """A damaged file is refused with what is wrong and what to do, before anything of the claimed size is read."""
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_gguf(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_an_alignment_of_zero_is_damage(tmp_path):
    """An alignment that cannot be one is refused."""
    with pytest.raises(ConfigError, match="alignment of 0"):
        read_gguf(write_gguf(tmp_path / "m.gguf", gguf_metadata() | {"general.alignment": 0}))


def test_a_cut_off_file_says_how_much_is_missing(tmp_path):
    """A download that ended early is told from a whole file."""
    path = write_gguf(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match=r"cut off: \d+ bytes of tensor"):
        read_gguf(path)


def test_a_missing_file_is_a_configuration_error(tmp_path):
    """A path that leads nowhere is refused by name."""
    with pytest.raises(ConfigError, match=r"absent\.gguf"):
        read_gguf(tmp_path / "absent.gguf")
