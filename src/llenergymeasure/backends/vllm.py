"""vLLM: what it takes and what it supports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.backends.described import DescribedBackend
from llenergymeasure.model.codec import JsonValue


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """Options of vLLM's engine arguments. ``None`` leaves a choice to the engine."""

    max_num_seqs: int = field(default=256, metadata=_doc("requests worked on at once, at most"))
    max_num_batched_tokens: int | None = field(default=None, metadata=_doc("tokens of one step, at most"))
    max_model_len: int | None = field(default=None, metadata=_doc("context that one request may use"))
    tensor_parallel_size: int = field(default=1, metadata=_doc("devices that each layer is split over"))
    pipeline_parallel_size: int = field(default=1, metadata=_doc("devices that the layers are spread over"))
    data_parallel_size: int = field(default=1, metadata=_doc("copies of the model"))
    gpu_memory_utilization: float = field(default=0.9, metadata=_doc("share of device memory the engine takes"))
    enable_prefix_caching: bool = field(default=False, metadata=_doc("reuse the cache of common beginnings"))
    enable_chunked_prefill: bool | None = field(default=None, metadata=_doc("split long prompts over steps"))
    block_size: int | None = field(default=None, metadata=_doc("tokens in a block of the key-value cache"))
    kv_cache_dtype: str | None = field(default=None, metadata=_doc("type of the key-value cache"))
    quantization: str | None = field(default=None, metadata=_doc("quantisation of the weights"))
    enforce_eager: bool | None = field(default=None, metadata=_doc("no captured graphs"))
    compilation_config: Mapping[str, JsonValue] | None = field(default=None, metadata=_doc("how the model is compiled"))
    speculative_config: Mapping[str, JsonValue] | None = field(default=None, metadata=_doc("speculative decoding"))
    enable_lora: bool | None = field(default=None, metadata=_doc("make room for LoRA adapters"))
    swap_space: float | None = field(default=None, metadata=_doc("GiB of host memory for swapped requests"))
    attention_backend: str | None = field(default=None, metadata=_doc("attention kernel"))
    passthrough_kwargs: Mapping[str, JsonValue] = field(
        default_factory=dict, metadata=_doc("engine arguments that no option above covers")
    )


SPEC = BackendSpec(
    name="vllm",
    engine="vllm",
    minimum_version="0.10",
    remedy="measure with another backend",
    options=VllmOptions,
    concurrency_option="max_num_seqs",
    batching="engine",
    formats=("directory",),
    precisions=("fp32", "fp16", "bf16", "as_stored"),
    decoding=("greedy", "sampling", "beam"),
    devices=("cuda", "cpu", "xpu"),
    token_times=True,
    accepts_token_ids=True,
    quantization=("awq", "gptq", "fp8", "bitsandbytes", "compressed-tensors"),
    lora=True,
    speculative=True,
    draft_free=("speculative_config",),
    random_weights=True,
    reports_kv=True,
    converts_gguf=True,
    tokenizer_rank=15,
    proven_on_hardware=False,
)

BACKEND = DescribedBackend(SPEC)
