"""What llama.cpp holds in memory: everything is allocated when the model is opened.

The constants were measured with xllamacpp 2026.10 on a CPU; ``benchmarks/memory_forecast.py`` holds them against what a process
really takes.
"""

from __future__ import annotations

from llenergymeasure.backends.llamacpp_options import CACHE_BYTES, CONTEXT_STEP, LlamaCppOptions
from llenergymeasure.backends.memory import MIB, MemoryNeed, NotForeseen, Workload, stored_bytes, undescribed

# The library and its Python, resident on a CPU; and the context of an accelerator.
_ENGINE_CPU, _ENGINE_ACCELERATOR = 43 * MIB, 400 * MIB

# Server and threads; the vocabulary's entry of a token, with its text and merges; a slot of the server.
_SERVER, _TOKEN, _SLOT = 8 * MIB, 560, MIB

# Tokens computed at once, unless an option says otherwise; tensors of both widths that live at a time, in fp32.
_UBATCH = 512
_HIDDEN_TENSORS, _FEED_FORWARD_TENSORS = 5, 3


def memory(workload: Workload) -> MemoryNeed | NotForeseen:
    """The need of all slots with the whole context, whether it is filled or not."""
    shape, options = workload.model.architecture, workload.options
    assert isinstance(options, LlamaCppOptions)
    if shape is None:
        return undescribed(workload.model)
    if workload.drafting:
        return NotForeseen("what a draft model adds is not foreseen")
    weights = stored_bytes(workload.model)
    if isinstance(weights, NotForeseen):
        return weights
    longest = workload.input_tokens + workload.output_tokens
    context = options.n_ctx or options.n_parallel * -(-longest // CONTEXT_STEP) * CONTEXT_STEP
    pair = CACHE_BYTES[options.type_k or "f16"] + CACHE_BYTES[options.type_v or "f16"]
    rows = min(options.n_ubatch or _UBATCH, options.n_batch or _UBATCH, workload.sequences * workload.input_tokens)
    widths = _HIDDEN_TENSORS * shape.hidden_size + _FEED_FORWARD_TENSORS * (
        (shape.intermediate_size or 4 * shape.hidden_size) * (shape.experts_per_token or 1)
    )
    logits = options.n_parallel * shape.vocabulary
    return MemoryNeed(
        engine_bytes=_ENGINE_CPU if workload.device == "cpu" else _ENGINE_ACCELERATOR,
        weights_bytes=weights,
        kv_bytes=round(context * shape.layers * shape.key_value_heads * shape.head_dim * pair),
        working_bytes=_SERVER + _TOKEN * shape.vocabulary + options.n_parallel * _SLOT + 4 * (rows * widths + logits),
        loading_bytes=weights,
    )
