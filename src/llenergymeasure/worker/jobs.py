"""The other kinds of job a worker does: probe, prepare, convert, serve."""

from __future__ import annotations

import json
from pathlib import Path

from llenergymeasure.backends.contract import Backend, Tokenizer
from llenergymeasure.errors import LLEMError
from llenergymeasure.model.codec import decode
from llenergymeasure.model.event import EventLog, Progress
from llenergymeasure.model.folder import PROMPTS
from llenergymeasure.model.inputs import InputsDescription, Message, Prompt, Prompts, ids_sha256, pack_ids, write_inputs
from llenergymeasure.model.job import ConvertJob, PrepareJob, ServeJob
from llenergymeasure.worker.vocabulary import Vocabulary


def probe(backend: Backend, log: EventLog) -> None:
    """Say what is here."""
    log.write(backend.probe())


def prepare(job: PrepareJob, folder: Path, backend: Backend, log: EventLog) -> None:
    """Turn ``prompts.json`` of the folder into ``inputs.bin`` and ``inputs.json`` beside it."""
    prompts = decode(Prompts, json.loads((folder / PROMPTS).read_text(encoding="utf-8")))
    log.write(Progress(f"preparing {len(prompts.prompts)} prompts"))
    tokenizer: Tokenizer
    if job.tokenizer == "vocabulary":
        tokenizer = Vocabulary(job.model)
    else:
        tokenizer = backend.tokenizer(job.model, trust_remote_code=job.trust_remote_code)
    try:
        write_inputs(folder, *_tokenise(job, prompts, tokenizer))
    finally:
        tokenizer.close()


def _tokenise(job: PrepareJob, prompts: Prompts, tokenizer: Tokenizer) -> tuple[InputsDescription, bytes]:
    ids, truncated = [], 0
    for row, prompt in enumerate(prompts.prompts):
        tokens, cut = _ids_of(job, prompt, tokenizer)
        if not tokens:
            raise LLEMError(f"prompt {row + 1} of {prompts.dataset} has no tokens", hint="remove empty prompts")
        ids.append(tokens)
        truncated += cut
    packed, lengths = pack_ids(ids), tuple(len(tokens) for tokens in ids)
    description = InputsDescription(
        sha256=ids_sha256(packed, lengths),
        n=job.n,
        lengths=lengths,
        max_new_tokens=tuple(prompt.max_new_tokens for prompt in prompts.prompts),
        truncated=truncated,
        tokenizer_sha256=tokenizer.sha256,
        tokenizer_backend=job.backend,
        dataset=prompts.dataset,
        dataset_sha256=prompts.dataset_sha256,
        prompt_format=job.prompt_format,
    )
    return description, packed


def _ids_of(job: PrepareJob, prompt: Prompt, tokenizer: Tokenizer) -> tuple[tuple[int, ...], bool]:
    """The ids of one prompt, and whether its content was cut. Content is cut before it enters a template."""
    limit = _limit(job, prompt)
    if prompt.exact_tokens is not None:
        if limit is not None and prompt.exact_tokens > limit:
            raise LLEMError(
                f"a prompt of {prompt.exact_tokens} tokens is asked for, and {limit} fit beside its output",
                hint="ask for shorter prompts or less output, or raise max_input_tokens",
            )
        ids = tokenizer.encode(prompt.text)
        repeats = -(-prompt.exact_tokens // max(len(ids), 1))
        return (ids * repeats)[: prompt.exact_tokens], False
    if prompt.messages or job.prompt_format == "chat":
        return _chat_ids(prompt.messages or (Message("user", prompt.text),), limit, tokenizer)
    ids = tokenizer.encode(prompt.text)
    return (ids, False) if limit is None or len(ids) <= limit else (ids[:limit], True)


def _limit(job: PrepareJob, prompt: Prompt) -> int | None:
    """Tokens that this prompt may have."""
    room = None
    if job.context_limit is not None:
        output = job.max_new_tokens if prompt.max_new_tokens is None else prompt.max_new_tokens
        room = max(1, job.context_limit - output)
    return min((limit for limit in (job.max_input_tokens, room) if limit is not None), default=None)


def _chat_ids(messages: tuple[Message, ...], limit: int | None, tokenizer: Tokenizer) -> tuple[tuple[int, ...], bool]:
    """A chat in the model's template; when it is too long, the end of its last message is left out."""
    ids = tokenizer.encode_chat(messages)
    if limit is None or len(ids) <= limit:
        return ids, False
    last = messages[-1]
    kept, dropped = len(last.content), 0
    while len(ids) > limit and kept:
        # A token is at least one character: dropping as many characters as there are tokens too many never drops too few
        # by much, and the loop ends at the first text that fits.
        dropped += len(ids) - limit
        kept = max(0, len(last.content) - dropped)
        ids = tokenizer.encode_chat((*messages[:-1], Message(last.role, last.content[:kept])))
    if len(ids) > limit:
        raise LLEMError(f"the chat template alone is longer than {limit} tokens", hint="raise max_input_tokens")
    return ids, True


def convert(job: ConvertJob, backend: Backend, log: EventLog) -> None:
    """Dequantise the job's GGUF into its destination."""
    log.write(Progress(f"converting {job.model.name} for {job.backend}"))
    backend.convert(job)


def serve(job: ServeJob, backend: Backend, log: EventLog) -> None:
    """Run the engine's server until SIGTERM. Raises ``BackendError`` for an engine that has none."""
    log.write(Progress(f"serving {job.model.name}"))
    backend.serve(job)
