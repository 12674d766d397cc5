"""Public architectures written as parameters: what ``preset:<name>`` with random weights is made of.

Each is the content of a ``config.json`` in the words of transformers' configuration classes; no weight and no tokenizer. A test
holds every total against the count its publisher gives.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.cache import cache_dir

PREFIX = "preset:"


def _llama(**own: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "bfloat16",
        **own,
    }


def _llama3(*, rope_factor: float, **own: Any) -> dict[str, Any]:
    return _llama(
        vocab_size=128256,
        max_position_embeddings=131072,
        rope_theta=500000.0,
        rope_scaling={
            "rope_type": "llama3",
            "factor": rope_factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        bos_token_id=128000,
        eos_token_id=128001,
        **own,
    )


def _smollm2(**own: Any) -> dict[str, Any]:
    return _llama(vocab_size=49152, max_position_embeddings=8192, tie_word_embeddings=True, **own)


def _qwen(kind: str, **own: Any) -> dict[str, Any]:
    model_type = {"Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3", "Qwen3MoeForCausalLM": "qwen3_moe"}[kind]
    return {
        "architectures": [kind],
        "model_type": model_type,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "vocab_size": 151936,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "torch_dtype": "bfloat16",
        **own,
    }


def _qwen3(**own: Any) -> dict[str, Any]:
    return _qwen("Qwen3ForCausalLM", head_dim=128, max_position_embeddings=40960, attention_bias=False, **own)


def _mistral(**own: Any) -> dict[str, Any]:
    return {
        **_llama(
            hidden_size=4096,
            intermediate_size=14336,
            num_hidden_layers=32,
            num_attention_heads=32,
            num_key_value_heads=8,
            max_position_embeddings=32768,
        ),
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        **own,
    }


def _shape(hidden: int, feed_forward: int, layers: int, heads: int, key_value_heads: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "intermediate_size": feed_forward,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
    }


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "smollm2-135m": _smollm2(rope_theta=100000.0, **_shape(576, 1536, 30, 9, 3)),
    "smollm2-360m": _smollm2(rope_theta=100000.0, **_shape(960, 2560, 32, 15, 5)),
    "smollm2-1.7b": _smollm2(rope_theta=130000.0, **_shape(2048, 8192, 24, 32, 32)),
    "tinyllama-1.1b": _llama(
        vocab_size=32000, max_position_embeddings=2048, rope_theta=10000.0, **_shape(2048, 5632, 22, 32, 4)
    ),
    "llama-2-7b": _llama(
        vocab_size=32000, max_position_embeddings=4096, rope_theta=10000.0, **_shape(4096, 11008, 32, 32, 32)
    ),
    "llama-3.2-1b": _llama3(rope_factor=32.0, tie_word_embeddings=True, head_dim=64, **_shape(2048, 8192, 16, 32, 8)),
    "llama-3.2-3b": _llama3(rope_factor=32.0, tie_word_embeddings=True, head_dim=128, **_shape(3072, 8192, 28, 24, 8)),
    "llama-3.1-8b": _llama3(rope_factor=8.0, **_shape(4096, 14336, 32, 32, 8)),
    "llama-3.1-70b": _llama3(rope_factor=8.0, **_shape(8192, 28672, 80, 64, 8)),
    "qwen2.5-0.5b": _qwen(
        "Qwen2ForCausalLM", max_position_embeddings=32768, tie_word_embeddings=True, **_shape(896, 4864, 24, 14, 2)
    ),
    "qwen2.5-7b": _qwen(
        "Qwen2ForCausalLM", max_position_embeddings=32768, **{**_shape(3584, 18944, 28, 28, 4), "vocab_size": 152064}
    ),
    "qwen3-0.6b": _qwen3(tie_word_embeddings=True, **_shape(1024, 3072, 28, 16, 8)),
    "qwen3-1.7b": _qwen3(tie_word_embeddings=True, **_shape(2048, 6144, 28, 16, 8)),
    "qwen3-4b": _qwen3(tie_word_embeddings=True, **_shape(2560, 9728, 36, 32, 8)),
    "qwen3-8b": _qwen3(**_shape(4096, 12288, 36, 32, 8)),
    "qwen3-30b-a3b": _qwen(
        "Qwen3MoeForCausalLM",
        head_dim=128,
        max_position_embeddings=40960,
        attention_bias=False,
        num_experts=128,
        num_experts_per_tok=8,
        moe_intermediate_size=768,
        norm_topk_prob=True,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        **_shape(2048, 6144, 48, 32, 4),
    ),
    "mistral-7b-v0.1": _mistral(vocab_size=32000, rope_theta=10000.0, sliding_window=4096),
    "mistral-7b-v0.3": _mistral(vocab_size=32768, rope_theta=1000000.0, sliding_window=None),
    "mixtral-8x7b": _mistral(
        architectures=["MixtralForCausalLM"],
        model_type="mixtral",
        vocab_size=32000,
        rope_theta=1000000.0,
        sliding_window=None,
        num_local_experts=8,
        num_experts_per_tok=2,
    ),
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "n_ctx": 1024,
        "vocab_size": 50257,
        "bos_token_id": 50256,
        "eos_token_id": 50256,
        "torch_dtype": "float32",
    },
}


def preset(name: str) -> Mapping[str, Any]:
    """The configuration of ``preset:<name>``. Raises ``ConfigError`` that lists the names."""
    config = PRESETS.get(name.removeprefix(PREFIX))
    if config is None:
        raise ConfigError(
            f"{name!r} is not a preset", hint=f"presets: {', '.join(PREFIX + known for known in PRESETS)}"
        )
    return config


def config_directory(label: str, config: Mapping[str, Any]) -> Path:
    """A directory in the cache that holds just this ``config.json``; made when it is not there yet. Raises ``ConfigError``."""
    text = json.dumps(config, indent=1, sort_keys=True) + "\n"
    folder = cache_dir() / "models" / "configs" / f"{label}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    target = folder / "config.json"
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return folder
    draft = folder / f".config.json.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, target)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}", hint="set LLEM_CACHE_DIR") from error
    return folder
