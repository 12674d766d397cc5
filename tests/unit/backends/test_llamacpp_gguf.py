from __future__ import annotations

import pytest

from llenergymeasure.backends.llamacpp_gguf import headers_of
from llenergymeasure.errors import BackendError
from llenergymeasure.model.gguf import GgufHeader, shards
from llenergymeasure.testing.model_files import gguf_metadata, gguf_tensors, write_gguf


def read_header(path) -> GgufHeader:
    return headers_of(str(path))[0]


def types(path) -> set[str]:
    return {tensor.type for header in headers_of(str(path)) for tensor in header.tensors}


def test_the_types_of_the_weights_are_read(tmp_path):
    """Each tensor says how it is stored, by the format's own name."""
    assert types(write_gguf(tmp_path / "m.gguf", tensors=gguf_tensors(kind="Q8_0"))) == {"F32", "Q8_0"}


def test_a_split_model_is_read_whole(tmp_path):
    """Types come from all files of a split model, the tokenizer from the first."""
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", tensors=gguf_tensors(kind="Q8_0"))
    write_gguf(tmp_path / "m-00002-of-00002.gguf", {"split.no": 1}, gguf_tensors(kind="Q4_0"))
    assert len(list(shards(first))) == 2
    header = read_header(first)
    assert types(first) == {"F32", "Q4_0", "Q8_0"}
    assert header.tokenizer_sha256 == read_header(write_gguf(tmp_path / "whole.gguf")).tokenizer_sha256


def test_the_digest_is_of_the_tokenizer_alone(tmp_path):
    """Other weights and other facts leave the digest; another vocabulary, another template or another flag changes it."""
    base = gguf_metadata()

    def digest(metadata, kind="Q8_0"):
        return read_header(write_gguf(tmp_path / "m.gguf", metadata, gguf_tensors(kind=kind))).tokenizer_sha256

    same = {
        digest(base),
        digest({**base, "general.name": "x"}),
        digest(base, "Q4_0"),
        digest(dict(reversed(base.items()))),
    }
    assert len(same) == 1
    tokens = list(base["tokenizer.ggml.tokens"])
    others = {
        digest({**base, "tokenizer.ggml.tokens": ["new", *tokens[1:]]}),
        digest({**base, "tokenizer.chat_template": "{{ messages }}"}),
        digest({**base, "tokenizer.ggml.add_bos_token": True}),
    }
    assert len(others | same) == 4


def test_a_chat_template_is_noticed(tmp_path):
    """Whether the file holds a template is known before the engine, which would take one of its own."""
    assert "tokenizer.chat_template" not in read_header(write_gguf(tmp_path / "raw.gguf")).metadata
    metadata = {**gguf_metadata(), "tokenizer.chat_template": "{{ messages }}"}
    assert "tokenizer.chat_template" in read_header(write_gguf(tmp_path / "chat.gguf", metadata)).metadata


def test_what_is_no_model_is_an_error_with_a_remedy(tmp_path):
    """A missing file, another kind of file and an empty one are named, each with what helps."""
    (tmp_path / "text.gguf").write_text("not a model at all, but long enough for a header")
    (tmp_path / "empty.gguf").touch()
    for name, message in (
        ("absent", "no such file"),
        ("text", "not a GGUF file"),
        ("empty", "not a GGUF file"),
    ):
        with pytest.raises(BackendError, match=message) as error:
            read_header(tmp_path / f"{name}.gguf")
        assert error.value.hint


def test_a_header_cut_anywhere_is_an_error(tmp_path):
    """Wherever a download stopped inside the header, reading it ends, and says so."""
    path = write_gguf(tmp_path / "m.gguf", {**gguf_metadata(), "tokenizer.ggml.tokens": ["a", "b", "c"]})
    whole = path.read_bytes()
    header_end = whole.rindex(b"output_norm.weight") + len("output_norm.weight") + 4 + 8 + 4
    for length in range(4, header_end, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BackendError, match="not a readable GGUF file"):
            read_header(path)
