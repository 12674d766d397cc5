"""Opening a model with llama.cpp: options and inputs become the engine's parameters, the engine's answers become facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llenergymeasure.backends.llamacpp_device import Placement, place
from llenergymeasure.backends.llamacpp_gguf import headers_of
from llenergymeasure.backends.llamacpp_options import (
    CACHE_BYTES,
    CONTEXT_STEP,
    LlamaCppOptions,
    effective_options,
    options_of,
    set_options,
)
from llenergymeasure.backends.llamacpp_server import LlamaServer
from llenergymeasure.backends.llamacpp_session import LlamaCppSession
from llenergymeasure.errors import BackendError
from llenergymeasure.model.event import SessionFacts
from llenergymeasure.model.gguf import GgufHeader
from llenergymeasure.model.inputs import read_inputs
from llenergymeasure.model.job import TrialJob

# Warnings and errors: at its default the engine writes several lines a request.
_VERBOSITY = 2


def open_session(engine: Any, version: str, job: TrialJob) -> LlamaCppSession:
    """Open the model of a job. The engine warms itself up with one empty run, inside the load.

    Raises ``BackendError`` for what it cannot do or open, ``MemoryError`` when weights and cache are more than is free.
    """
    options = options_of(job.backend.options)
    _refuse(job)
    headers = headers_of(job.model.path)
    longest = _longest_request(job)
    params = engine.CommonParams()
    params.verbosity = _VERBOSITY
    params.model.path = job.model.path
    params.n_ctx = options.n_parallel * -(-longest // CONTEXT_STEP) * CONTEXT_STEP
    params.n_threads_http = 2 * options.n_parallel + 2
    params.ctx_shift = False
    set_options(engine, params, options)
    _set_draft(engine, params, job)
    placement = place(engine, params, job.device, options)
    server = _open_server(engine, params, job, placement)
    try:
        _check_context(server, longest, job)
        facts = _facts(engine, version, server, params, job, options, placement, headers)
    except BaseException:
        server.close()
        raise
    return LlamaCppSession(server, facts, job.decoder, seed=job.seed, slots=options.n_parallel, context=longest)


def _refuse(job: TrialJob) -> None:
    """What the specification rules out is refused before the run; what only a job can say, here."""
    decoder = job.decoder
    if job.model.format != "gguf":
        raise BackendError(f"{job.model.name}: llama.cpp opens GGUF files", hint="name a .gguf file")
    if decoder.min_new_tokens and not decoder.ignore_eos:
        raise BackendError(
            "llama.cpp knows no least number of tokens",
            hint="leave min_new_tokens out, or set ignore_eos for exactly max_new_tokens",
        )
    if decoder.speculative_decoding and job.draft_model is None:
        raise BackendError("speculative decoding needs a draft model", hint="name a small model of the same vocabulary")


def _longest_request(job: TrialJob) -> int:
    """Tokens of the longest prompt with its answer, over window and warm-up."""
    inputs = read_inputs(Path(job.inputs)).description
    limits = (job.decoder.max_new_tokens if own is None else own for own in inputs.max_new_tokens)
    return max(length + limit for length, limit in zip(inputs.lengths, limits, strict=True))


def _set_draft(engine: Any, params: Any, job: TrialJob) -> None:
    if job.decoder.speculative_decoding and job.draft_model is not None:
        headers_of(job.draft_model.path)
        params.speculative.draft.mparams.path = job.draft_model.path
        params.speculative.types = [engine.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]


def _open_server(engine: Any, params: Any, job: TrialJob, placement: Placement) -> LlamaServer:
    try:
        return LlamaServer(engine, params)
    except BackendError as error:
        stored = sum(header.file_bytes for header in headers_of(job.model.path))
        needed = stored + (_kv_bytes(engine, params, job, params.n_ctx) or 0)
        if needed > placement.memory_free_bytes:
            raise MemoryError(
                f"{job.model.name}: weights and key-value cache take {needed:,} bytes, {placement.memory_free_bytes:,} are free"
            ) from error
        raise


def _check_context(server: LlamaServer, longest: int, job: TrialJob) -> None:
    """The engine lowers a context that is above the model's limit, and cuts answers that do not fit."""
    slot = server.ask("/slots")[0]["n_ctx"]
    if slot < longest:
        limit = server.ask("/v1/models")["data"][0]["meta"]["n_ctx_train"]
        raise BackendError(
            f"{job.model.name}: the longest prompt with its answer takes {longest} tokens, a slot holds {slot}",
            hint="raise llamacpp.n_ctx, which all slots share"
            if slot < limit
            else f"the model's own limit is {limit}: set max_input_tokens or lower max_new_tokens",
        )


def _facts(
    engine: Any,
    version: str,
    server: LlamaServer,
    params: Any,
    job: TrialJob,
    options: LlamaCppOptions,
    placement: Placement,
    headers: tuple[GgufHeader, ...],
) -> SessionFacts:
    model = server.ask("/v1/models")["data"][0]["meta"]
    n_ctx = sum(slot["n_ctx"] for slot in server.ask("/slots"))
    effective = {**effective_options(params, options), "n_ctx": n_ctx}
    return SessionFacts(
        engine="xllamacpp",
        engine_version=version,
        batching="engine",
        device=placement.device,
        device_ids=placement.device_ids,
        precision=job.precision,
        weight_types=tuple(sorted({tensor.type for header in headers for tensor in header.tensors})),
        parameters=model["n_params"],
        weight_bytes=model["size"],
        kv_bytes=_kv_bytes(engine, params, job, n_ctx),
        kv_element_bytes=_key_value_pair_bytes(params) / 2,
        attention={True: "flash", False: "standard"}.get(effective["flash_attn"]),
        threads=params.cpuparams.n_threads,
        effective_options=effective,
    )


def _kv_bytes(engine: Any, params: Any, job: TrialJob, n_ctx: int) -> int | None:
    """Keys and values of every layer for the whole context; ``None`` where the model's shape is not known."""
    shape = job.model.architecture
    if shape is None:
        return None
    return round(n_ctx * shape.layers * shape.key_value_heads * shape.head_dim * _key_value_pair_bytes(params))


def _key_value_pair_bytes(params: Any) -> float:
    """Bytes of one number of a key and one of a value in the cache."""
    words = (kind.name.removeprefix("GGML_TYPE_").lower() for kind in (params.cache_type_k, params.cache_type_v))
    return sum(CACHE_BYTES[word] for word in words)
