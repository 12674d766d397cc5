"""TensorRT-LLM: what it takes and what it supports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.backends.described import DescribedBackend
from llenergymeasure.model.codec import JsonValue


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True)
class TensorRtOptions:
    """Options of TensorRT-LLM's engine and builder. ``None`` leaves a choice to the engine."""

    max_batch_size: int | None = field(default=None, metadata=_doc("requests worked on at once, at most"))
    max_seq_len: int | None = field(default=None, metadata=_doc("tokens of one request, input and output"))
    max_num_tokens: int | None = field(default=None, metadata=_doc("tokens of one step, at most"))
    tp_size: int = field(default=1, metadata=_doc("devices that each layer is split over"))
    pp_size: int = field(default=1, metadata=_doc("devices that the layers are spread over"))
    kv_cache_type: str | None = field(default=None, metadata=_doc("kind of key-value cache"))
    kv_cache_fraction: float | None = field(default=None, metadata=_doc("share of free memory for the key-value cache"))
    quantization: str | None = field(default=None, metadata=_doc("quantisation of the weights"))
    builder_opt_level: int | None = field(default=None, metadata=_doc("how hard the builder tries"))
    engine_path: str | None = field(default=None, metadata=_doc("an engine that was built before"))
    chunked_prefill: bool | None = field(default=None, metadata=_doc("split long prompts over steps"))
    cuda_graphs: bool | None = field(default=None, metadata=_doc("capture steps as graphs"))
    passthrough_kwargs: Mapping[str, JsonValue] = field(
        default_factory=dict, metadata=_doc("engine arguments that no option above covers")
    )


SPEC = BackendSpec(
    name="tensorrt",
    engine="tensorrt_llm",
    minimum_version="1.0",
    remedy="measure with another backend",
    options=TensorRtOptions,
    concurrency_option="max_batch_size",
    batching="engine",
    formats=("directory",),
    precisions=("fp16", "bf16", "as_stored"),
    decoding=("greedy", "sampling"),
    devices=("cuda",),
    token_times=True,
    accepts_token_ids=True,
    quantization=("fp8", "int8-sq", "int4-awq", "nvfp4"),
    random_weights=False,
    tokenizer_rank=16,
    proven_on_hardware=False,
)

BACKEND = DescribedBackend(SPEC)
