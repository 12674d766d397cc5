"""What transformers holds in memory, counted from the model's shape.

The constants were measured on a CPU with torch 2.13 and transformers 5.23; ``benchmarks/memory_forecast.py`` holds them
against what a process really takes.
"""

from __future__ import annotations

from llenergymeasure.backends.memory import (
    MIB,
    PRECISION_BYTES,
    MemoryNeed,
    NotForeseen,
    Workload,
    stored_bytes,
    undescribed,
)
from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.model.machine import Architecture

# torch and transformers' modelling code, resident on a CPU; and the context of an accelerator.
_ENGINE_CPU, _ENGINE_ACCELERATOR = 380 * MIB, 500 * MIB

# Beside weights and tensors: while loading; and while generating, threads and compiled kernels included.
_LOADING, _RUNNING = 8 * MIB, 26 * MIB

# Prefill: tensors of the hidden width and of the feed-forward width that live at a time.
_HIDDEN_TENSORS, _FEED_FORWARD_TENSORS = 6, 3
# Families whose activation (``gelu_new``) is written as a formula, and makes a tensor for each of its steps.
_STEPWISE, _STEPWISE_TENSORS = ("gpt2", "phi"), 5

# Bytes taken for a byte of them. A CPU's allocator puts the growing cache into the gaps that they leave, and finds no gap for
# the next ones; accelerators have an allocator of torch's own.
_SCATTER_CPU, _SCATTER_ACCELERATOR = 2.5, 1.1

# Mixtures of experts: copies of one layer's experts.
_EXPERT_COPIES = 2

# Bytes of a quantised weight, scales included.
_QUANTISED = {
    "bnb-int8": 1.0,
    "bnb-nf4": 0.5 + 4 / 64,
    "torchao-int8wo": 1.0,
    "torchao-int8dq": 1.0,
    "dynamic-int8": 1.0,
}
# Made after the whole model is loaded.
_QUANTISED_LATE = ("dynamic-int8",)


def memory(workload: Workload) -> MemoryNeed | NotForeseen:
    """The need of a batch whose cache is full."""
    shape, options = workload.model.architecture, workload.options
    assert isinstance(options, PyTorchOptions)
    if shape is None:
        return undescribed(workload.model)
    if workload.drafting:
        return NotForeseen("what a draft model adds is not foreseen")
    if options.device_map is not None or options.tp_plan is not None:
        return NotForeseen("a model that is spread over devices is not foreseen")
    held = _weights(workload, options, shape)
    if isinstance(held, NotForeseen):
        return held
    weights, loading = held
    width = PRECISION_BYTES.get(workload.precision) or (4 if weights > 3 * shape.parameters else 2)
    kv = workload.sequences * width * shape.key_value_elements(workload.input_tokens + workload.output_tokens)
    on_cpu = workload.device == "cpu"
    scatter = _SCATTER_CPU if on_cpu else _SCATTER_ACCELERATOR
    # A dynamic cache is copied, layer by layer, to grow by a token.
    growing = 0 if options.static_cache else kv // shape.layers
    return MemoryNeed(
        engine_bytes=_ENGINE_CPU if on_cpu else _ENGINE_ACCELERATOR,
        weights_bytes=weights,
        kv_bytes=kv,
        working_bytes=growing + round(_working(workload, shape, width, scatter)) + _RUNNING,
        loading_bytes=loading + _LOADING,
    )


def _weights(workload: Workload, options: PyTorchOptions, shape: Architecture) -> tuple[int, int] | NotForeseen:
    """(held, most while loading). Weights of another type than the one wanted are mapped whole beside what they become."""
    if workload.precision == "as_stored" or options.quantization == "gguf":
        found = stored_bytes(workload.model)
        return found if isinstance(found, NotForeseen) else (found, found)
    plain = shape.parameters * PRECISION_BYTES[workload.precision]
    head = shape.vocabulary * shape.hidden_size * PRECISION_BYTES[workload.precision]
    held = _held(plain, head, options, shape, PRECISION_BYTES[workload.precision])
    if workload.weights == "random":
        # A head that is tied is made before it is.
        return held, plain + (head if shape.tied_embeddings else 0)
    if options.quantization in _QUANTISED_LATE:
        return held, plain + held
    stored = workload.model.weight_bytes
    as_they_are = stored == plain and held == plain
    if stored is None or as_they_are or workload.device != "cpu":
        return held, held
    return held, stored + held


def _held(plain: int, head: int, options: PyTorchOptions, shape: Architecture, width: int) -> int:
    """Bytes of the weights in memory; embeddings and head are not quantised."""
    if options.quantization is None:
        return plain
    kept = shape.embedding_parameters * width + (0 if shape.tied_embeddings else head)
    return round(kept + (plain - kept) / width * _QUANTISED[options.quantization])


def _working(workload: Workload, shape: Architecture, width: int, scatter: float) -> float:
    """The prompt's, which are the largest; logits are computed for the last position of each sequence, and copied in fp32."""
    rows = workload.sequences * workload.input_tokens
    feed_forward = (shape.intermediate_size or 4 * shape.hidden_size) * (shape.experts_per_token or 1)
    wide = _STEPWISE_TENSORS if shape.family in _STEPWISE else _FEED_FORWARD_TENSORS
    tensors = rows * width * (_HIDDEN_TENSORS * shape.hidden_size + wide * feed_forward)
    logits = workload.sequences * shape.vocabulary * (width + 4)
    experts = 0
    if shape.experts:
        experts = _EXPERT_COPIES * width * 3 * shape.experts * shape.hidden_size * (shape.intermediate_size or 0)
    return scatter * tensors + logits + experts + _scores(workload, shape)


def _scores(workload: Workload, shape: Architecture) -> float:
    """The matrix of attention scores in fp32, which only ``eager`` attention makes."""
    if workload.options.attn_implementation != "eager":
        return 0.0
    return 2 * 4 * workload.sequences * shape.attention_heads * workload.input_tokens**2
