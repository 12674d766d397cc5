"""The other kinds of job a worker does: probe, prepare, convert, serve."""

from __future__ import annotations

import json
from pathlib import Path

from llenergymeasure.backends.contract import Backend, Tokenizer
from llenergymeasure.errors import LLEMError
from llenergymeasure.model.codec import decode
from llenergymeasure.model.event import EventLog, Progress
from llenergymeasure.model.folder import PROMPTS
from llenergymeasure.model.inputs import InputsDescription, Prompts, ids_sha256, pack_ids, write_inputs
from llenergymeasure.model.job import ConvertJob, PrepareJob, ServeJob


def probe(backend: Backend, log: EventLog) -> None:
    """Say what is here."""
    log.write(backend.probe())


def prepare(job: PrepareJob, folder: Path, backend: Backend, log: EventLog) -> None:
    """Turn ``prompts.json`` of the folder into ``inputs.bin`` and ``inputs.json`` beside it."""
    prompts = decode(Prompts, json.loads((folder / PROMPTS).read_text(encoding="utf-8")))
    log.write(Progress(f"preparing {len(prompts.texts)} prompts"))
    tokenizer = backend.tokenizer(job.model)
    try:
        write_inputs(folder, *_tokenise(job, prompts, tokenizer))
    finally:
        tokenizer.close()


def _tokenise(job: PrepareJob, prompts: Prompts, tokenizer: Tokenizer) -> tuple[InputsDescription, bytes]:
    encode = tokenizer.encode_chat if job.prompt_format == "chat" else tokenizer.encode
    ids, truncated = [], 0
    for row, text in enumerate(prompts.texts):
        tokens = encode(text)
        if not tokens:
            raise LLEMError(f"prompt {row + 1} of {prompts.dataset} has no tokens", hint="remove empty prompts")
        if job.max_input_tokens is not None and len(tokens) > job.max_input_tokens:
            tokens = tokens[: job.max_input_tokens]
            truncated += 1
        ids.append(tokens)
    packed, lengths = pack_ids(ids), tuple(len(tokens) for tokens in ids)
    description = InputsDescription(
        sha256=ids_sha256(packed, lengths),
        n=job.n,
        lengths=lengths,
        max_new_tokens=prompts.max_new_tokens,
        truncated=truncated,
        tokenizer_sha256=tokenizer.sha256,
        tokenizer_backend=job.backend,
        dataset=prompts.dataset,
        dataset_sha256=prompts.dataset_sha256,
        prompt_format=job.prompt_format,
    )
    return description, packed


def convert(job: ConvertJob, backend: Backend, log: EventLog) -> None:
    """Dequantise the job's GGUF into its destination."""
    log.write(Progress(f"converting {job.model.name} for {job.backend}"))
    backend.convert(job)


def serve(job: ServeJob, backend: Backend, log: EventLog) -> None:
    """Run the engine's server until SIGTERM. Raises ``BackendError`` for an engine that has none."""
    log.write(Progress(f"serving {job.model.name}"))
    backend.serve(job)
