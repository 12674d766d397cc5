"""The options of the llama.cpp backend, and how they become the engine's own parameters."""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import CodecError, JsonValue, decode

CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]

# The engine rounds a slot's context up to this many tokens.
CONTEXT_STEP = 256

# Bytes of one number in the key-value cache.
CACHE_BYTES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_1": 20 / 32, "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LlamaCppOptions:
    """Section ``llamacpp``. ``None`` leaves an option to the engine."""

    n_parallel: int = field(default=1, metadata={"doc": "slots: requests worked on at once"})
    n_ctx: int | None = field(
        default=None,
        metadata={
            "doc": "tokens of context for all slots together; by default n_parallel × (longest prepared input + max_new_tokens, "
            "rounded up to a multiple of 256). The context never shifts"
        },
    )
    cache_prompt: bool = field(
        default=False,
        metadata={
            "doc": "reuse what earlier prompts left in the key-value cache; a repeated pass is then almost free of prefill"
        },
    )
    n_batch: int | None = field(default=None, metadata={"doc": "most tokens handed to the model at once"})
    n_ubatch: int | None = field(default=None, metadata={"doc": "most tokens computed at once"})
    n_threads: int | None = field(
        default=None, metadata={"doc": "CPU threads of decoding; by default the physical cores"}
    )
    n_threads_batch: int | None = field(default=None, metadata={"doc": "CPU threads of prefill; by default n_threads"})
    n_gpu_layers: int | None = field(
        default=None,
        metadata={"doc": "layers held by the accelerator; by default as many as fit, 0 keeps all on the CPU"},
    )
    flash_attn: bool | None = field(
        default=None, metadata={"doc": "flash attention on or off; by default on where the device has it"}
    )
    type_k: CacheType | None = field(default=None, metadata={"doc": "type of the cached keys; by default f16"})
    type_v: CacheType | None = field(
        default=None,
        metadata={"doc": "type of the cached values; by default f16. A quantised one needs flash attention"},
    )
    use_mmap: bool | None = field(
        default=None, metadata={"doc": "map the model file instead of reading it; by default the engine chooses"}
    )
    use_mlock: bool | None = field(default=None, metadata={"doc": "keep the weights from being swapped out"})
    split_mode: Literal["none", "layer", "row"] | None = field(
        default=None, metadata={"doc": "how several accelerators share the model; by default by layer"}
    )
    draft_n_max: int | None = field(
        default=None, metadata={"doc": "speculative decoding: most tokens that the draft model proposes at once"}
    )
    draft_n_min: int | None = field(
        default=None, metadata={"doc": "speculative decoding: fewest tokens worth a proposal"}
    )
    draft_p_min: float | None = field(
        default=None, metadata={"doc": "speculative decoding: least probability of a proposed token"}
    )
    draft_n_gpu_layers: int | None = field(
        default=None, metadata={"doc": "layers of the draft model held by the accelerator"}
    )
    passthrough_kwargs: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={
            "doc": "attributes of xllamacpp's CommonParams by name, with dots for those inside (cpuparams.poll); names of "
            "constants as text"
        },
    )

    def __post_init__(self) -> None:
        """The engine ends the process over a size that is not positive: refuse it here."""
        for name in ("n_parallel", "n_ctx", "n_batch", "n_ubatch", "n_threads", "n_threads_batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is at least 1, not {value}")
        if self.flash_attn is False and self.type_v not in (None, "f32", "f16", "bf16"):
            raise ValueError(f"type_v {self.type_v} needs flash attention")
        for name in self.passthrough_kwargs:
            if name in _COVERED:
                raise ValueError(f"passthrough_kwargs: {name!r} is what the option {_COVERED[name]} sets")
            if any(name == own or name.startswith(f"{own}.") for own in _DECIDED_ELSEWHERE):
                raise ValueError(f"passthrough_kwargs: {name!r} is decided by the experiment")


_NAMES = tuple(field.name for field in dataclasses.fields(LlamaCppOptions))


# Where an option lives in the engine's parameters.
_PLACES = {
    "n_parallel": "n_parallel",
    "n_ctx": "n_ctx",
    "cache_prompt": "cache_prompt",
    "n_batch": "n_batch",
    "n_ubatch": "n_ubatch",
    "n_threads": "cpuparams.n_threads",
    "n_threads_batch": "cpuparams_batch.n_threads",
    "n_gpu_layers": "n_gpu_layers",
    "flash_attn": "flash_attn_type",
    "type_k": "cache_type_k",
    "type_v": "cache_type_v",
    "split_mode": "split_mode",
    "draft_n_max": "speculative.draft.n_max",
    "draft_n_min": "speculative.draft.n_min",
    "draft_p_min": "speculative.draft.p_min",
    "draft_n_gpu_layers": "speculative.draft.n_gpu_layers",
}
_COVERED = {place: option for option, place in _PLACES.items()} | {"load_mode": "use_mmap and use_mlock"}

# What the experiment sets, or this backend to reach its own server.
_DECIDED_ELSEWHERE = (
    "model",
    "speculative.types",
    "speculative.draft.mparams",
    "ctx_shift",
    "hostnames",
    "port",
    "api_keys",
    "ui",
    "endpoint_slots",
    "n_threads_http",
)

# The engine's constants by the words of the options: the type in the engine, and the beginning of its names.
_CONSTANTS = {
    "flash_attn": ("llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE_"),
    "type_k": ("ggml_type", "GGML_TYPE_"),
    "type_v": ("ggml_type", "GGML_TYPE_"),
    "split_mode": ("llama_split_mode", "LLAMA_SPLIT_MODE_"),
}


def options_of(values: Mapping[str, JsonValue]) -> LlamaCppOptions:
    """The options of a job. Raises ``BackendError`` for one that is unknown or cannot be, ``CodecError`` for a wrong type."""
    unknown = sorted(set(values) - set(_NAMES))
    if unknown:
        raise BackendError(f"llamacpp: unknown option {unknown[0]!r}", hint=f"options: {', '.join(_NAMES)}")
    try:
        return decode(LlamaCppOptions, values, "llamacpp")
    except CodecError:
        raise
    except ValueError as error:
        raise BackendError(f"llamacpp: {error}") from error


def set_options(engine: Any, params: Any, options: LlamaCppOptions) -> None:
    """Write the options that are given into the engine's parameters. Raises ``BackendError`` for one it refuses."""
    for option, place in _PLACES.items():
        value = getattr(options, option)
        if value is None:
            continue
        if option in _CONSTANTS:
            kind, beginning = _CONSTANTS[option]
            word = {True: "enabled", False: "disabled"}.get(value, value)
            value = getattr(engine, kind)[beginning + word.upper()]
        holder, name = _holder(params, place)
        setattr(holder, name, value)
    _set_load_mode(engine, params, options)
    if not options.cache_prompt:
        _forget_prompts(params)
    for name, value in options.passthrough_kwargs.items():
        _pass_through(params, name, value)


def effective_options(params: Any, options: LlamaCppOptions) -> dict[str, JsonValue]:
    """What each option is after the engine has opened the model with these parameters."""
    drafting = bool(params.speculative.draft.mparams.path)
    effective: dict[str, JsonValue] = {}
    for option, place in _PLACES.items():
        if drafting or not option.startswith("draft_"):
            holder, name = _holder(params, place)
            effective[option] = _word(getattr(holder, name), option)
    effective["load_mode"] = _word(params.load_mode, "load_mode")
    return {**effective, **options.passthrough_kwargs}


def _set_load_mode(engine: Any, params: Any, options: LlamaCppOptions) -> None:
    mapped, locked = options.use_mmap, options.use_mlock
    if mapped is None and not locked:
        return
    word = ("NONE", "MLOCK")[bool(locked)] if mapped is False else ("MMAP", "MMAP_MLOCK")[bool(locked)]
    params.load_mode = engine.llama_load_mode[f"LLAMA_LOAD_MODE_{word}"]


def _forget_prompts(params: Any) -> None:
    """Besides the cache of each slot the engine keeps states of idle slots in memory, and picks slots by likeness."""
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = 0
    params.slot_prompt_similarity = 0.0


def _pass_through(params: Any, name: str, value: Any) -> None:
    holder, attribute = _holder(params, name)
    present = getattr(holder, attribute)
    if isinstance(present, enum.Enum) and isinstance(value, str):
        value = _constant(type(present), name, value)
    try:
        setattr(holder, attribute, value)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise BackendError(f"llamacpp.passthrough_kwargs: {name}: {value!r} is refused: {error}") from error


def _holder(params: Any, place: str) -> tuple[Any, str]:
    """The object that has the attribute at the end of a dotted name, and the attribute. Raises ``BackendError``."""
    *path, last = place.split(".")
    for depth, part in enumerate((*path, last)):
        names = [name for name in dir(params) if not name.startswith("_")]
        if part not in names:
            close = difflib.get_close_matches(part, names, n=1)
            raise BackendError(
                f"llamacpp.passthrough_kwargs: {type(params).__name__} has no {part!r}",
                hint=f"did you mean {'.'.join((*path[:depth], close[0]))!r}?" if close else "",
            )
        if depth < len(path):
            params = getattr(params, part)
    return params, last


def _constant(kind: type[enum.Enum], name: str, word: str) -> enum.Enum:
    for member in kind:
        if member.name == word.upper() or member.name.endswith(f"_{word.upper()}"):
            return member
    raise BackendError(
        f"llamacpp.passthrough_kwargs: {name}: {word!r} is not known",
        hint=f"valid: {', '.join(member.name for member in kind)}",
    )


def _word(value: Any, option: str) -> JsonValue:
    """A value as the options write it: constants of the engine by the end of their names."""
    if not isinstance(value, enum.Enum):
        plain: JsonValue = value
        return plain
    beginning = _CONSTANTS[option][1] if option in _CONSTANTS else f"LLAMA_{option.upper()}_"
    word = value.name.removeprefix(beginning).lower()
    return {"enabled": True, "disabled": False}.get(word, word)
