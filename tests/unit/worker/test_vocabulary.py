"""Ids for a model without a tokenizer."""

import pytest

from llenergymeasure.errors import LLEMError
from llenergymeasure.model.inputs import Message, Prompt
from llenergymeasure.model.job import ModelRef, PrepareJob
from llenergymeasure.models.directory import open_directory
from llenergymeasure.testing.model_files import TINY_LLAMA, write_model
from llenergymeasure.worker.jobs import _ids_of
from llenergymeasure.worker.vocabulary import Vocabulary


@pytest.fixture
def model(tmp_path):
    return open_directory(write_model(tmp_path / "m"), name="m", revision=None, weights="random")


def test_a_word_is_always_the_same_id_within_the_vocabulary(model):
    """Ids lie above the special tokens; different words are seldom the same."""
    vocabulary = Vocabulary(model)
    words = [f"word{number}" for number in range(200)]
    ids = vocabulary.encode(" ".join(words))
    assert len(ids) == 200
    assert ids == Vocabulary(model).encode(" ".join(words))
    assert all(TINY_LLAMA["vocab_size"] * 0.1 - 1 <= token < TINY_LLAMA["vocab_size"] for token in ids)
    assert len(set(ids)) > 20


def test_a_model_without_a_vocabulary_and_a_chat_are_refused(model):
    """Neither is made up."""
    with pytest.raises(LLEMError, match="its vocabulary is not known: odd"):
        Vocabulary(ModelRef("m", "/m", "directory", architecture_reason="odd"))
    with pytest.raises(LLEMError, match="no chat template"):
        Vocabulary(model).encode_chat([Message("user", "hello")])


def _job(model, **fields) -> PrepareJob:
    return PrepareJob("pytorch", model, 1, 0, **{"max_input_tokens": None, "tokenizer": "vocabulary", **fields})


@pytest.mark.parametrize(
    ("fields", "prompt", "kept"),
    [
        ({"max_input_tokens": 3}, Prompt("a b c d e"), 3),
        ({"context_limit": 10, "max_new_tokens": 6}, Prompt("a b c d e"), 4),
        ({"context_limit": 10, "max_new_tokens": 6}, Prompt("a b c d e", max_new_tokens=8), 2),
        ({"context_limit": 10, "max_new_tokens": 6, "max_input_tokens": 1}, Prompt("a b c d e"), 1),
        ({"context_limit": 10, "max_new_tokens": 99}, Prompt("a b c d e"), 1),
        ({}, Prompt("a b c d e"), 5),
    ],
)
def test_a_prompt_leaves_room_for_its_own_output(model, fields, prompt, kept):
    """The limit is what is asked for, and what the model holds beside this prompt's own output."""
    ids, cut = _ids_of(_job(model, **fields), prompt, Vocabulary(model))
    assert (len(ids), cut) == (kept, kept < 5)


def test_an_exact_length_that_does_not_fit_is_an_error(model):
    """It is not cut in silence: the length is what was asked for."""
    with pytest.raises(LLEMError, match="of 8 tokens is asked for, and 4 fit"):
        _ids_of(_job(model, context_limit=10, max_new_tokens=6), Prompt("a", exact_tokens=8), Vocabulary(model))
