"""Small model files for tests: GGUF and safetensors with zeros for weights, and whole model directories."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

# GGUF's numbers for the types that tests store: bytes of a block of numbers, and how many a block holds.
_GGUF_TYPES = {"F32": (0, 4, 1), "F16": (1, 2, 1), "Q4_0": (2, 18, 32), "Q8_0": (8, 34, 32)}

TINY_LLAMA: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}


def llama_tensors(config: Mapping[str, Any] = TINY_LLAMA) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a llama's weights, as transformers stores them."""
    hidden, width = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    keys = config["num_key_value_heads"] * head
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        tensors |= {
            f"model.layers.{layer}.{name}.weight": shape
            for name, shape in {
                "input_layernorm": (hidden,),
                "self_attn.q_proj": (hidden, hidden),
                "self_attn.k_proj": (keys, hidden),
                "self_attn.v_proj": (keys, hidden),
                "self_attn.o_proj": (hidden, hidden),
                "post_attention_layernorm": (hidden,),
                "mlp.gate_proj": (width, hidden),
                "mlp.up_proj": (width, hidden),
                "mlp.down_proj": (hidden, width),
            }.items()
        }
    tensors["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = (config["vocab_size"], hidden)
    return tensors


def write_safetensors(path: Path, tensors: Mapping[str, tuple[int, ...]], kind: str = "BF16") -> Path:
    """A safetensors file of zeros."""
    size = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "U8": 1}[kind]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        begin, end = end, end + prod(shape) * size
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))
    return path


def write_model(folder: Path, config: Mapping[str, Any] = TINY_LLAMA) -> Path:
    """A whole model directory: configuration, weights of zeros, a tokenizer that tokenizes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    write_safetensors(folder / "model.safetensors", llama_tensors(config))
    return folder


def gguf_metadata(name: str = "llama", **own: Any) -> dict[str, Any]:
    """Metadata of a small GGUF; ``own`` keys (a dot is a double underscore) are set, or left out when ``None``."""
    keys = {
        "block_count": 2,
        "embedding_length": 64,
        "feed_forward_length": 96,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "context_length": 128,
    } | {key.replace("__", "."): value for key, value in own.items()}
    metadata: dict[str, Any] = {"general.architecture": name}
    metadata |= {f"{name}.{key}": value for key, value in keys.items() if value is not None}
    return metadata | {"tokenizer.ggml.tokens": [f"token-{index}" for index in range(512)]}


def gguf_tensors(*, tied: bool = True, kind: str = "Q8_0") -> dict[str, tuple[tuple[int, ...], str]]:
    """Names, shapes (fastest dimension first) and types of the weights that ``gguf_metadata`` describes."""
    tensors: dict[str, tuple[tuple[int, ...], str]] = {"token_embd.weight": ((64, 512), kind)}
    for layer in range(2):
        tensors |= {
            f"blk.{layer}.attn_norm.weight": ((64,), "F32"),
            f"blk.{layer}.attn_q.weight": ((64, 64), kind),
            f"blk.{layer}.attn_k.weight": ((64, 32), kind),
            f"blk.{layer}.attn_v.weight": ((64, 32), kind),
            f"blk.{layer}.attn_output.weight": ((64, 64), kind),
            f"blk.{layer}.ffn_norm.weight": ((64,), "F32"),
            f"blk.{layer}.ffn_gate.weight": ((64, 96), kind),
            f"blk.{layer}.ffn_up.weight": ((64, 96), kind),
            f"blk.{layer}.ffn_down.weight": ((96, 64), kind),
        }
    tensors["output_norm.weight"] = ((64,), "F32")
    return tensors if tied else tensors | {"output.weight": ((64, 512), kind)}


def write_gguf(
    path: Path,
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, tuple[tuple[int, ...], str]] | None = None,
) -> Path:
    """A GGUF file of zeros."""
    metadata = gguf_metadata() if metadata is None else metadata
    tensors = gguf_tensors() if tensors is None else tensors
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        header += _gguf_string(key) + _gguf_value(value)
    offset = 0
    for name, (shape, kind) in tensors.items():
        number, block_bytes, block = _GGUF_TYPES[kind]
        header += _gguf_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, offset)
        offset += -(-prod(shape) // block * block_bytes // 32) * 32
    path.write_bytes(header + bytes(-len(header) % 32) + bytes(offset))
    return path


def _gguf_string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _gguf_value(value: bool | int | float | str | Sequence[Any]) -> bytes:
    kind, body = _gguf_item(value)
    return struct.pack("<I", kind) + body


def _gguf_item(value: bool | int | float | str | Sequence[Any]) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, _gguf_string(value)
    items = [_gguf_item(item) for item in value]
    return 9, struct.pack("<IQ", items[0][0], len(items)) + b"".join(body for _, body in items)
