import pytest

from llenergymeasure.backends.pytorch_generate import (
    SpecialTokens,
    check_speculation,
    draft_arguments,
    generation_arguments,
    one_token_a_step,
)
from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import Decoder

SPECIAL = SpecialTokens(end=(2, 3), pad=0)
PLAIN = PyTorchOptions()


def arguments(decoder, options=PLAIN, max_cache_len=None):
    return generation_arguments(decoder, options, SPECIAL, max_cache_len)


def test_greedy_says_no_sampling_and_names_no_sampling_number():
    """A temperature beside greedy would only be a warning in the log."""
    made = arguments(Decoder())
    assert (made["do_sample"], made["num_beams"]) == (False, 1)
    assert not made.keys() & {"temperature", "top_p", "top_k"}


def test_sampling_turns_sampling_on_and_no_top_k_is_none():
    """Transformers would otherwise take the 50 most likely tokens."""
    made = arguments(Decoder(decoding_strategy="sampling", temperature=0.7, top_p=0.9))
    assert (made["do_sample"], made["temperature"], made["top_p"], made["top_k"]) == (True, 0.7, 0.9, 0)


def test_beams_are_asked_for():
    """Beam search keeps as many beams as the decoder says."""
    made = arguments(Decoder(decoding_strategy="beam", num_beams=4))
    assert (made["do_sample"], made["num_beams"]) == (False, 4)


def test_ignoring_the_end_means_that_there_is_none():
    """Each request then runs to its limit, and a minimum length has no meaning."""
    made = arguments(Decoder(ignore_eos=True, min_new_tokens=5))
    assert made["eos_token_id"] is None
    assert "min_new_tokens" not in made


def test_natural_ends_take_all_end_tokens_and_the_minimum():
    """Every end token of the model ends, none before the minimum."""
    made = arguments(Decoder(ignore_eos=False, min_new_tokens=5))
    assert (made["eos_token_id"], made["min_new_tokens"]) == ([2, 3], 5)


def test_a_fixed_cache_is_as_long_as_the_study_needs():
    """Then every batch finds the same shape."""
    made = arguments(Decoder(), PyTorchOptions(cache_implementation="static"), 300)
    assert (made["cache_implementation"], made["max_cache_len"]) == ("static", 300)


def test_compiling_can_be_turned_off():
    """Transformers compiles by itself where the cache is static."""
    assert arguments(Decoder(), PyTorchOptions(cache_implementation="static", torch_compile=False), 8)[
        "disable_compile"
    ]


def test_prompt_lookup_needs_speculative_decoding():
    """The option alone, without the decoder asking, changes nothing."""
    options = PyTorchOptions(prompt_lookup_num_tokens=3)
    assert "prompt_lookup_num_tokens" not in arguments(Decoder(), options)
    assert arguments(Decoder(speculative_decoding=True), options)["prompt_lookup_num_tokens"] == 3


def test_the_draft_model_gets_what_was_given_and_nothing_else():
    """What is not given stays the engine's own."""
    assert draft_arguments(PLAIN, SPECIAL) == {"pad_token_id": 0}
    given = draft_arguments(PyTorchOptions(num_assistant_tokens=4, assistant_confidence_threshold=0.0), SPECIAL)
    assert given == {"pad_token_id": 0, "num_assistant_tokens": 4, "assistant_confidence_threshold": 0.0}


@pytest.mark.parametrize(
    ("decoder", "options", "has_draft", "words"),
    [
        ({}, {}, False, "something that proposes"),
        ({}, {"batch_size": 2}, True, "one request at a time"),
        ({"decoding_strategy": "beam", "num_beams": 2}, {}, True, "beams"),
        ({}, {"cache_implementation": "static"}, True, "cut back"),
    ],
)
def test_speculation_that_transformers_would_ignore_or_fail_on_is_refused(decoder, options, has_draft, words):
    """The refusal comes before anything is loaded, and says what to change."""
    with pytest.raises(BackendError, match=words) as refused:
        check_speculation(Decoder(speculative_decoding=True, **decoder), PyTorchOptions(**options), has_draft=has_draft)
    assert refused.value.hint


def test_a_step_is_a_token_unless_beams_or_proposals_come_between():
    """Step stamps are token times only where each step gives each running request one token."""
    assert one_token_a_step(Decoder())
    assert one_token_a_step(Decoder(decoding_strategy="sampling"))
    assert not one_token_a_step(Decoder(decoding_strategy="beam", num_beams=2))
    assert not one_token_a_step(Decoder(speculative_decoding=True))
