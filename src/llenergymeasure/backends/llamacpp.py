"""llama.cpp, through the wheel ``xllamacpp``: GGUF models on a CPU or an accelerator."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from llenergymeasure.backends.contract import Backend, BackendSpec, Session, Tokenizer, not_served, version_at_least
from llenergymeasure.backends.llamacpp_device import device_words
from llenergymeasure.backends.llamacpp_memory import memory
from llenergymeasure.backends.llamacpp_options import LlamaCppOptions
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import ConvertJob, ModelRef, ServeJob, TrialJob
from llenergymeasure.model.machine import Interpreter

if TYPE_CHECKING:
    from llenergymeasure.model.event import Found, Missing

SPEC = BackendSpec(
    name="llamacpp",
    engine="xllamacpp",
    minimum_version="2026.10",
    remedy="pip install --upgrade xllamacpp",
    options=LlamaCppOptions,
    concurrency_option="n_parallel",
    batching="engine",
    formats=("gguf",),
    precisions=("as_stored",),
    decoding=("greedy", "sampling"),
    devices=("cpu", "cuda", "mps", "xpu"),
    token_times=True,
    accepts_token_ids=True,
    speculative=True,
    tokenizer_rank=20,
    memory=memory,
)


class LlamaCppBackend:
    """The engine; nothing of it is imported until one of these is called."""

    spec = SPEC

    def probe(self) -> Found | Missing:
        import platform

        from llenergymeasure.model.event import Found, Missing

        try:
            engine, version = _engine()
        except BackendError as error:
            return Missing(SPEC.name, str(error), error.hint)
        python = Interpreter(platform.python_version(), platform.python_implementation(), {SPEC.engine: version})
        return Found(SPEC.name, SPEC.engine, version, device_words(engine), python)

    def tokenizer(self, model: ModelRef, *, trust_remote_code: bool = False) -> Tokenizer:
        from llenergymeasure.backends.llamacpp_tokenizer import LlamaCppTokenizer

        return LlamaCppTokenizer(*_engine(), model)

    def open(self, job: TrialJob) -> Session:
        from llenergymeasure.backends.llamacpp_open import open_session

        return open_session(*_engine(), job)

    def convert(self, job: ConvertJob) -> None:
        raise BackendError(f"{SPEC.name} opens GGUF files as they are", hint="leave the model as it is")

    def serve(self, job: ServeJob) -> None:
        raise not_served(SPEC)


def _engine() -> tuple[Any, str]:
    """The imported engine and its version. Raises ``BackendError`` when it is missing, too old, or cannot be imported."""
    from importlib import metadata  # slow, and not needed to read the spec

    try:
        version = metadata.version(SPEC.engine)
        if not version_at_least(version, SPEC.minimum_version):
            raise BackendError(f"xllamacpp {version} is too old: {SPEC.minimum_version} is needed", hint=SPEC.remedy)
        return importlib.import_module(SPEC.engine), version
    except metadata.PackageNotFoundError as error:
        raise BackendError("xllamacpp is not installed", hint=SPEC.remedy) from error
    except (ImportError, OSError, RuntimeError, AttributeError, TypeError, ValueError) as error:
        raise BackendError(f"xllamacpp cannot be imported: {error}", hint=SPEC.remedy) from error


BACKEND: Backend = LlamaCppBackend()
