"""A model's architecture, from ``config.json`` or from the header of a GGUF.

What cannot be counted honestly is an ``UndescribedError``: models with a latent cache, with layers other than attention, or whose
files leave a dimension open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llenergymeasure.model.machine import Architecture
from llenergymeasure.model.tensor import Tensor
from llenergymeasure.models.families import (
    FAMILIES,
    Counts,
    Family,
    Shape,
    UndescribedError,
    count_from_config,
    flag,
    whole,
)
from llenergymeasure.models.gguf import Gguf
from llenergymeasure.models.weights import StoredWeights

_LATENT = "latent attention (MLA): its arithmetic and cache depend on how the engine folds the projections"
_NOT_ATTENTION = "layers that are not attention are not counted"
_UNKNOWN_WINDOW = "it does not say which layers attend to a sliding window"
# Prefixes of keys that only models with state-space, linear-attention or convolution layers have.
_HYBRID_KEYS = ("mamba", "ssm", "linear_num", "linear_key", "conv_L", "rwkv", "hybrid", "attn_layer", "layers_block")

# Which layers of a GGUF slide, where its metadata holds the window only: all but every n-th; 0: none, as llama.cpp runs it.
_GGUF_PERIODS = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4, "phi3": 0}

# Names of tensors, in transformers' and in GGUF's words.
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|embed_in|tok_embeddings|token_embd)\.weight$")
_POSITIONS = re.compile(r"(^|\.)(wpe|embed_positions|position_embeddings?|position_embd)\.weight$")
_HEAD = re.compile(r"^(lm_head|embed_out|output)\.weight$|(^|\.)lm_head\.weight$")
_ROUTED = re.compile(r"\.experts\.|_exps\.")
_BUFFER = re.compile(r"(inv_freq|masked_bias|attn\.bias|attention\.bias|rope_freqs\.weight|rope_factors_\w+\.weight)$")
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


def architecture_of_config(config: Mapping[str, Any], weights: StoredWeights | None = None) -> Architecture:
    """The architecture that a ``config.json`` describes.

    A known family is counted from its configuration alone; another one from the names and shapes of its weights, when they are
    here and not quantised. Raises ``UndescribedError``.
    """
    text = config.get("text_config")
    if isinstance(text, Mapping) and "num_hidden_layers" not in config:
        # The decoder inside a model that also sees or hears: its own weights cannot be told from the other tower's.
        config, weights = {"tie_word_embeddings": config.get("tie_word_embeddings"), **text}, None
    _refuse(config)
    name = str(config.get("model_type") or "")
    family = FAMILIES.get(name)
    shape = _shape(config, family)
    if family is not None:
        counts = count_from_config(family, shape, config)
    elif weights is not None and weights.tensors and set(weights.elements_by_type()) <= _FLOATS | {"I64", "BOOL", "U8"}:
        counts = _count_stored(weights.tensors, tied=flag(config, "tie_word_embeddings", default=False))
    else:
        raise UndescribedError(
            f"models of type {name or 'unknown'} are counted from unquantised safetensors weights only"
        )
    sliding = _sliding_layers(config, family, shape.layers)
    window = whole(config, "sliding_window") if sliding else None
    return _architecture(name or "unknown", shape, counts, window, sliding)


def architecture_of_gguf(gguf: Gguf) -> Architecture:
    """The architecture of a GGUF. Raises ``UndescribedError``."""
    name = str(gguf.metadata.get("general.architecture") or "")
    prefix = f"{name}."
    keys = {key[len(prefix) :]: value for key, value in gguf.metadata.items() if key.startswith(prefix)}
    if "attention.kv_lora_rank" in keys:
        raise UndescribedError(_LATENT)
    if any(key.startswith(("ssm.", "wkv.", "shortconv.")) for key in keys):
        raise UndescribedError(_NOT_ATTENTION)
    embedding = next((tensor for tensor in gguf.weights.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or len(embedding.shape) != 2:
        raise UndescribedError("it holds no token embedding")
    layers, hidden = whole(keys, "block_count"), whole(keys, "embedding_length")
    heads = _uniform(keys, "attention.head_count")
    experts = whole(keys, "expert_count", default=0)
    shape = Shape(
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        key_value_heads=_uniform(keys, "attention.head_count_kv", default=heads),
        head_dim=whole(keys, "attention.key_length", default=hidden // heads),
        vocabulary=embedding.shape[1],
        context_limit=whole(keys, "context_length"),
        intermediate_size=_uniform(keys, *(("expert_feed_forward_length",) if experts else ()), "feed_forward_length"),
        experts=experts,
        experts_per_token=whole(keys, "expert_used_count") if experts else 0,
    )
    sliding = _sliding_layers_of_gguf(name, keys, layers)
    window = whole(keys, "attention.sliding_window") if sliding else None
    return _architecture(name, shape, _count_stored(gguf.weights.tensors, tied=False), window, sliding)


def _refuse(config: Mapping[str, Any]) -> None:
    if config.get("kv_lora_rank"):
        raise UndescribedError(_LATENT)
    if config.get("is_encoder_decoder"):
        raise UndescribedError("an encoder with a decoder is not counted")
    if any(key.startswith(_HYBRID_KEYS) for key in config):
        raise UndescribedError(_NOT_ATTENTION)


def _shape(config: Mapping[str, Any], family: Family | None) -> Shape:
    hidden, heads = whole(config, "hidden_size", "n_embd"), whole(config, "num_attention_heads", "n_head")
    experts = 0
    if family is None or family.routed:
        experts = whole(config, "num_local_experts", "num_experts", "n_routed_experts", default=0)
    if family is not None and family.routed and not experts:
        raise UndescribedError("it does not say how many experts it has")
    width = whole(config, "intermediate_size", "n_inner", default=4 * hidden)
    return Shape(
        layers=whole(config, "num_hidden_layers", "n_layer"),
        hidden_size=hidden,
        attention_heads=heads,
        key_value_heads=whole(config, "num_key_value_heads", default=heads),
        head_dim=whole(config, "head_dim", default=(family and family.head_dim) or hidden // heads),
        vocabulary=whole(config, "vocab_size"),
        context_limit=whole(config, "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"),
        intermediate_size=whole(config, "moe_intermediate_size", default=width) if experts else width,
        experts=experts,
        experts_per_token=whole(config, "num_experts_per_tok", "moe_top_k") if experts else 0,
    )


def _sliding_layers(config: Mapping[str, Any], family: Family | None, layers: int) -> int:
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        if any(kind not in ("full_attention", "sliding_attention") for kind in kinds):
            raise UndescribedError(_NOT_ATTENTION)
        return kinds.count("sliding_attention")
    if not config.get("sliding_window") or config.get("use_sliding_window") is False:
        return 0
    if family is None:
        raise UndescribedError(_UNKNOWN_WINDOW)
    if family.window == "all":
        return layers
    if family.window == "upper":
        asked = flag(config, "use_sliding_window", default=False)
        return max(layers - whole(config, "max_window_layers", default=28), 0) if asked else 0
    if family.window == "periodic":
        return layers - layers // whole(config, "sliding_window_pattern", default=family.window_period)
    return 0


def _sliding_layers_of_gguf(name: str, keys: Mapping[str, Any], layers: int) -> int:
    if not keys.get("attention.sliding_window"):
        return 0
    pattern = keys.get("attention.sliding_window_pattern")
    if isinstance(pattern, tuple):
        return sum(bool(slides) for slides in pattern)
    period = pattern if type(pattern) is int else _GGUF_PERIODS.get(name)
    if period is None:
        raise UndescribedError(_UNKNOWN_WINDOW)
    return layers - layers // period if period > 0 else 0


def _uniform(keys: Mapping[str, Any], *names: str, default: int | None = None) -> int:
    """A number that a GGUF may give once or for each layer. Raises ``UndescribedError`` where layers differ."""
    values = next((keys[name] for name in names if name in keys), default)
    if isinstance(values, tuple):
        if len(set(values)) != 1:
            raise UndescribedError(f"its layers differ in {names[0]}")
        values = values[0]
    return whole({names[0]: values}, names[0])


def _count_stored(tensors: Sequence[Tensor], *, tied: bool) -> Counts:
    """Parameters by the names of their tensors. A stored output projection counts unless the model ties it."""

    def elements(pattern: re.Pattern[str]) -> int:
        return sum(tensor.elements for tensor in tensors if pattern.search(tensor.name))

    table, positions, head = elements(_EMBEDDING), elements(_POSITIONS), elements(_HEAD)
    if not table:
        raise UndescribedError("none of its weights is named like a token embedding")
    tied = tied or not head
    total = sum(tensor.elements for tensor in tensors if not _BUFFER.search(tensor.name)) - (head if tied else 0)
    return Counts(total, elements(_ROUTED), table + positions, tied)


def _architecture(name: str, shape: Shape, counts: Counts, window: int | None, sliding: int) -> Architecture:
    idle = counts.routed * (shape.experts - shape.experts_per_token) // shape.experts if shape.experts else 0
    return Architecture(
        family=name,
        layers=shape.layers,
        hidden_size=shape.hidden_size,
        attention_heads=shape.attention_heads,
        key_value_heads=shape.key_value_heads,
        head_dim=shape.head_dim,
        vocabulary=shape.vocabulary,
        context_limit=shape.context_limit,
        parameters=counts.parameters,
        active_parameters=counts.parameters - max(idle, 0),
        embedding_parameters=counts.embedding,
        tied_embeddings=counts.tied,
        intermediate_size=shape.intermediate_size,
        experts=shape.experts or None,
        experts_per_token=shape.experts_per_token or None,
        sliding_window=window,
        sliding_layers=sliding,
    )
