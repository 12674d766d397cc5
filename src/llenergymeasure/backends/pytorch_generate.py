"""From a decoder to the arguments of a ``GenerationConfig``: everything said, nothing left to the model's own file."""

from __future__ import annotations

from dataclasses import dataclass

from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import JsonValue
from llenergymeasure.model.job import Decoder


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids with a meaning to generation. ``pad`` stands where nothing is: always masked on input, never counted on output."""

    end: tuple[int, ...]
    pad: int


def generation_arguments(
    decoder: Decoder, options: PyTorchOptions, special: SpecialTokens, max_cache_len: int | None
) -> dict[str, JsonValue]:
    """Arguments that hold for every batch; the batch adds its ``max_new_tokens``.

    A model's own ``generation_config.json`` may ask for sampling, a temperature or forbidden words, and transformers itself
    has a default ``top_k`` of 50. None of it applies: what the decoder does not say is neutral, so that engines compare. With
    ``ignore_eos`` there is no end token at all, and each request runs to its limit.
    """
    arguments: dict[str, JsonValue] = {
        "do_sample": decoder.decoding_strategy == "sampling",
        "num_beams": (decoder.num_beams or 2) if decoder.decoding_strategy == "beam" else 1,
        "repetition_penalty": decoder.repetition_penalty,
        "pad_token_id": special.pad,
        "eos_token_id": None if decoder.ignore_eos or not special.end else list(special.end),
        "use_cache": True,
    }
    if decoder.decoding_strategy == "sampling":
        arguments |= {"temperature": decoder.temperature, "top_p": decoder.top_p, "top_k": decoder.top_k or 0}
    if decoder.min_new_tokens is not None and arguments["eos_token_id"] is not None:
        arguments["min_new_tokens"] = decoder.min_new_tokens
    if options.cache != "dynamic":
        arguments["cache_implementation"] = options.cache
    if max_cache_len is not None:
        arguments["max_cache_len"] = max_cache_len
    if options.torch_compile is False:
        arguments["disable_compile"] = True
    if decoder.speculative_decoding and options.prompt_lookup_num_tokens is not None:
        arguments["prompt_lookup_num_tokens"] = options.prompt_lookup_num_tokens
    return arguments


def draft_arguments(options: PyTorchOptions, special: SpecialTokens) -> dict[str, JsonValue]:
    """Arguments of the draft model's own ``GenerationConfig``; transformers fills in what is not given."""
    given = {
        "num_assistant_tokens": options.num_assistant_tokens,
        "num_assistant_tokens_schedule": options.num_assistant_tokens_schedule,
        "assistant_confidence_threshold": options.assistant_confidence_threshold,
    }
    return {"pad_token_id": special.pad, **{name: value for name, value in given.items() if value is not None}}


def check_speculation(decoder: Decoder, options: PyTorchOptions, *, has_draft: bool) -> None:
    """Raise ``BackendError`` for a combination with speculative decoding that transformers would ignore or fail on later."""
    if not decoder.speculative_decoding:
        return
    if not has_draft and options.prompt_lookup_num_tokens is None:
        raise BackendError(
            "speculative decoding needs something that proposes tokens",
            hint="set decoder.draft_model, or pytorch.prompt_lookup_num_tokens",
        )
    if options.batch_size > 1:
        raise BackendError(
            f"transformers decodes speculatively for one request at a time, not {options.batch_size}",
            hint="pytorch.batch_size: 1",
        )
    if decoder.decoding_strategy == "beam":
        raise BackendError(
            "transformers does not combine speculative decoding with beams", hint="choose one of the two"
        )
    if options.static_cache:
        raise BackendError(
            f"speculative decoding needs a cache that can be cut back, not a {options.cache} one",
            hint="leave out pytorch.cache_implementation and pytorch.torch_compile",
        )


def one_token_a_step(decoder: Decoder) -> bool:
    """Whether each step of the engine gives every running request exactly one token of its answer."""
    return decoder.decoding_strategy != "beam" and not decoder.speculative_decoding
