"""The decoder families whose parameters can be counted from ``config.json`` alone, and how their layers are built.

The keys are those of transformers' configuration classes; a test compares every count with the model that transformers builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


class UndescribedError(ValueError):
    """A model's arithmetic cannot be counted; the message says why."""


@dataclass(frozen=True, slots=True)
class Family:
    """What a family's configuration does not say: defaults of keys that may be left out, and what its layers hold.

    ``window``: which layers slide when ``sliding_window`` is set and ``layer_types`` is not: ``all``; ``upper`` from
    ``max_window_layers`` on, if asked for; ``periodic``, all but every ``window_period``-th.
    """

    tied: bool = False
    gated: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    feed_forward_bias: bool = False
    head_bias: bool = False
    layer_norms: int = 2
    norm_bias: bool = False
    query_key_norm: Literal["none", "head", "all"] = "none"
    head_dim: int | None = None
    learned_positions: bool = False
    sinks: bool = False
    routed: bool = False
    shared_expert: bool = False
    expert_bias: bool = False
    window: Literal["none", "all", "upper", "periodic"] = "none"
    window_period: int = 0


_BIASED = Family(gated=False, qkv_bias=True, output_bias=True, feed_forward_bias=True, norm_bias=True)

FAMILIES: Mapping[str, Family] = {
    "llama": Family(),
    "mistral": Family(window="all"),
    "mixtral": Family(routed=True, window="all"),
    "qwen2": Family(qkv_bias=True, window="upper"),
    "qwen3": Family(query_key_norm="head", head_dim=128, window="upper"),
    "qwen2_moe": Family(qkv_bias=True, routed=True, shared_expert=True),
    "qwen3_moe": Family(query_key_norm="head", routed=True),
    "olmo2": Family(query_key_norm="all"),
    "olmoe": Family(query_key_norm="all", routed=True),
    "gemma": Family(tied=True, head_dim=256),
    "gemma2": Family(tied=True, head_dim=256, layer_norms=4, window="periodic", window_period=2),
    "gemma3_text": Family(
        tied=True, head_dim=256, layer_norms=4, query_key_norm="head", window="periodic", window_period=6
    ),
    "phi": Family(
        gated=False,
        qkv_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        head_bias=True,
        layer_norms=1,
        norm_bias=True,
    ),
    "phi3": Family(window="all"),
    "smollm3": Family(tied=True),
    "granite": Family(),
    "starcoder2": Family(
        tied=True,
        gated=False,
        qkv_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        norm_bias=True,
        window="all",
    ),
    "gpt2": Family(
        tied=True,
        gated=False,
        qkv_bias=True,
        output_bias=True,
        feed_forward_bias=True,
        norm_bias=True,
        learned_positions=True,
    ),
    "gpt_neox": _BIASED,
    "gpt_oss": Family(
        qkv_bias=True,
        output_bias=True,
        head_dim=64,
        sinks=True,
        routed=True,
        expert_bias=True,
        window="periodic",
        window_period=2,
    ),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters: all, those of routed experts among them, and those that are looked up; and whether embeddings are tied."""

    parameters: int
    routed: int
    embedding: int
    tied: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions that every decoder has."""

    layers: int
    hidden_size: int
    attention_heads: int
    key_value_heads: int
    head_dim: int
    vocabulary: int
    context_limit: int
    intermediate_size: int
    experts: int
    experts_per_token: int


def count_from_config(family: Family, shape: Shape, config: Mapping[str, Any]) -> Counts:
    """Parameters of a model of a known family. Raises ``UndescribedError`` where its configuration leaves something open."""
    norm = shape.hidden_size * (2 if family.norm_bias else 1)
    sparse = _sparse_layers(shape, config)
    expert = _feed_forward(family, shape, shape.intermediate_size, bias=family.expert_bias)
    routed = sparse * shape.experts * expert
    total = routed + sparse * _beside_experts(family, shape, config)
    if sparse < shape.layers:
        width = whole(config, "intermediate_size", "n_inner", default=4 * shape.hidden_size)
        bias = flag(config, "mlp_bias", "use_bias", default=family.feed_forward_bias)
        total += (shape.layers - sparse) * _feed_forward(family, shape, width, bias=bias)
    total += shape.layers * (_attention(family, shape, config) + family.layer_norms * norm) + norm
    tied = flag(config, "tie_word_embeddings", default=family.tied)
    table = shape.vocabulary * shape.hidden_size
    positions = shape.context_limit * shape.hidden_size if family.learned_positions else 0
    head = (0 if tied else table) + (shape.vocabulary if family.head_bias else 0)
    return Counts(total + table + positions + head, routed, table + positions, tied)


def _attention(family: Family, shape: Shape, config: Mapping[str, Any]) -> int:
    queries, keys = shape.attention_heads * shape.head_dim, shape.key_value_heads * shape.head_dim
    weights = shape.hidden_size * (2 * queries + 2 * keys)
    if flag(config, "attention_bias", "use_bias", default=family.qkv_bias):
        weights += queries + 2 * keys
    if flag(config, "attention_bias", "use_bias", default=family.output_bias):
        weights += shape.hidden_size
    if family.sinks:
        weights += shape.attention_heads
    return weights + {"none": 0, "head": 2 * shape.head_dim, "all": queries + keys}[family.query_key_norm]


def _feed_forward(family: Family, shape: Shape, width: int, *, bias: bool) -> int:
    matrices = 3 if family.gated else 2
    return matrices * shape.hidden_size * width + ((matrices - 1) * width + shape.hidden_size if bias else 0)


def _beside_experts(family: Family, shape: Shape, config: Mapping[str, Any]) -> int:
    """What a routing layer holds beside its routed experts: the router, and an expert that every token passes, with its gate."""
    router = shape.experts * (shape.hidden_size + (1 if family.expert_bias else 0))
    if not family.shared_expert:
        return router
    width = whole(config, "shared_expert_intermediate_size")
    return router + _feed_forward(family, shape, width, bias=False) + shape.hidden_size


def _sparse_layers(shape: Shape, config: Mapping[str, Any]) -> int:
    if shape.experts == 0:
        return 0
    dense = config.get("mlp_only_layers")
    step = whole(config, "decoder_sparse_step", default=1)
    return sum(
        not (isinstance(dense, list) and layer in dense) and (layer + 1) % step == 0 for layer in range(shape.layers)
    )


def whole(config: Mapping[str, Any], *keys: str, default: int | None = None) -> int:
    """The positive whole number under the first key that is set, else the default. Raises ``UndescribedError``."""
    for key in keys:
        value = config.get(key)
        if value is None:
            continue
        if type(value) is not int or not 0 < value < 1 << 40:
            raise UndescribedError(f"{key} is {value!r}")
        return value
    if default is None:
        raise UndescribedError(f"it does not say {keys[0]}")
    return default


def flag(config: Mapping[str, Any], *keys: str, default: bool) -> bool:
    """The truth value under the first key that is set, else the default."""
    return next((bool(config[key]) for key in keys if config.get(key) is not None), default)
