"""The options of the ``pytorch`` section, and how a job's become an object."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import CodecError, JsonValue, decode

Quantization = Literal["bnb-int8", "bnb-nf4", "torchao-int8wo", "torchao-int8dq", "dynamic-int8", "gguf"]
CacheImplementation = Literal["dynamic", "static", "offloaded", "offloaded_static", "quantized"]
CompileMode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
Schedule = Literal["constant", "heuristic", "heuristic_transient"]

# Caches of a fixed size, the only ones whose decoding step can be compiled.
STATIC_CACHES = ("static", "offloaded_static")

# Arguments of ``from_pretrained`` that other settings decide, and which.
_DECIDED_ELSEWHERE = {
    "config": "model",
    "dtype": "precision",
    "gguf_file": "model",
    "local_files_only": "nothing: models are local when a worker opens them",
    "quantization_config": "pytorch.quantization",
    "revision": "model_revision",
    "state_dict": "weights",
    "torch_dtype": "precision",
    "trust_remote_code": "trust_remote_code",
}


@dataclass(frozen=True, slots=True)
class PyTorchOptions:
    """Section ``pytorch``. ``None`` leaves a choice to transformers; raises ``ValueError`` for numbers out of range."""

    batch_size: int = field(
        default=1, metadata={"doc": "prompts generated together; a new batch begins when all have ended"}
    )
    sort_by_length: bool = field(
        default=False,
        metadata={
            "doc": "batch prompts of similar length, the longest first: less padding, but no longer the data's order"
        },
    )
    attn_implementation: str | None = field(
        default=None,
        metadata={"doc": "attention kernel: sdpa, eager, flash_attention_2, flash_attention_3, flex_attention"},
    )
    torch_compile: bool | None = field(
        default=None,
        metadata={
            "doc": "compile the decoding step while loading; needs a static cache and chooses one. Not given: transformers "
            "compiles when the cache is static and the device is no CPU"
        },
    )
    compile_mode: CompileMode | None = field(
        default=None, metadata={"doc": "mode of torch.compile; transformers' default is reduce-overhead"}
    )
    cache_implementation: CacheImplementation | None = field(
        default=None,
        metadata={
            "doc": "key-value cache; a static one holds the longest prompt and output of the study. quantized needs "
            "optimum-quanto. Not given: dynamic"
        },
    )
    quantization: Quantization | None = field(
        default=None,
        metadata={
            "doc": "quantise the weights: bnb-int8 and bnb-nf4 need bitsandbytes, torchao-int8wo (weights) and torchao-int8dq "
            "(weights and activations) need torchao, dynamic-int8 is torch's own for fp32 on a CPU, gguf keeps the blocks of a "
            "GGUF file and needs the kernels package"
        },
    )
    device_map: str | Mapping[str, JsonValue] | None = field(
        default=None,
        metadata={"doc": "spread the layers over devices: auto, balanced, sequential, or a mapping; needs accelerate"},
    )
    tp_plan: str | None = field(
        default=None, metadata={"doc": "tensor parallelism (auto); needs a worker started by torchrun"}
    )
    num_threads: int | None = field(
        default=None, metadata={"doc": "threads of one operation on the CPU; not given: torch's choice"}
    )
    num_assistant_tokens: int | None = field(
        default=None, metadata={"doc": "tokens that the draft model proposes at a time (speculative decoding)"}
    )
    num_assistant_tokens_schedule: Schedule | None = field(
        default=None, metadata={"doc": "whether that number follows how many proposals were accepted"}
    )
    assistant_confidence_threshold: float | None = field(
        default=None, metadata={"doc": "the draft model stops proposing when it is less sure than this; 0 never stops"}
    )
    prompt_lookup_num_tokens: int | None = field(
        default=None,
        metadata={"doc": "speculative decoding without a draft model: propose this many tokens from the text so far"},
    )
    low_cpu_mem_usage: bool | None = field(
        default=None,
        metadata={"doc": "load through empty tensors; transformers 5 always does and accepts nothing but true"},
    )
    passthrough_kwargs: Mapping[str, Any] = field(
        default_factory=dict, metadata={"doc": "further arguments of AutoModelForCausalLM.from_pretrained"}
    )

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_threads", "num_assistant_tokens", "prompt_lookup_num_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        threshold = self.assistant_confidence_threshold
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"assistant_confidence_threshold must lie between 0 and 1, not {threshold}")
        if self.low_cpu_mem_usage is False:
            raise ValueError(
                "low_cpu_mem_usage: false is not possible, transformers 5 always loads through empty tensors"
            )
        if self.torch_compile and not self.static_cache:
            raise ValueError(f"torch_compile needs a static cache, not {self.cache_implementation}")
        if self.compile_mode is not None and self.torch_compile is False:
            raise ValueError("compile_mode has no effect with torch_compile: false")
        for key in self.passthrough_kwargs:
            if key in _DECIDED_ELSEWHERE:
                raise ValueError(f"passthrough_kwargs: {key!r} is decided by {_DECIDED_ELSEWHERE[key]}")

    @property
    def static_cache(self) -> bool:
        """Whether the key-value cache has a fixed size."""
        if self.cache_implementation is None:
            return bool(self.torch_compile)
        return self.cache_implementation in STATIC_CACHES

    @property
    def cache(self) -> CacheImplementation:
        """The cache in use."""
        return self.cache_implementation or ("static" if self.torch_compile else "dynamic")


_NAMES = tuple(field.name for field in dataclasses.fields(PyTorchOptions))


def options_of(values: Mapping[str, JsonValue]) -> PyTorchOptions:
    """The options of a job. Raises ``BackendError`` for one that is unknown or cannot be."""
    unknown = sorted(set(values) - set(_NAMES))
    if unknown:
        raise BackendError(f"pytorch: unknown option {unknown[0]!r}", hint=f"options: {', '.join(_NAMES)}")
    try:
        options = decode(PyTorchOptions, values, "pytorch")
    except CodecError:
        raise
    except ValueError as error:
        raise BackendError(f"pytorch: {error}") from error
    covered = sorted(set(options.passthrough_kwargs) & set(_NAMES))
    if covered:
        raise BackendError(
            f"pytorch: passthrough_kwargs: {covered[0]!r} is an option of its own", hint=f"pytorch.{covered[0]}"
        )
    return options
