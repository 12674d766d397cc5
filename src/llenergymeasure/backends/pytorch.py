"""PyTorch through transformers: static batches of ``generate``, the reference among the backends."""

from __future__ import annotations

import platform
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from llenergymeasure.backends.contract import Backend, BackendSpec, Session, Tokenizer, not_served, version_at_least
from llenergymeasure.backends.pytorch_memory import memory
from llenergymeasure.backends.pytorch_options import PyTorchOptions, options_of
from llenergymeasure.model.job import ConvertJob, ModelRef, ServeJob, TrialJob
from llenergymeasure.model.machine import Interpreter

if TYPE_CHECKING:
    from llenergymeasure.model.event import Found, Missing

SPEC = BackendSpec(
    name="pytorch",
    engine="transformers",
    # Before it, padding counted as text that is penalised for being repeated.
    minimum_version="5.23",
    remedy="pip install torch transformers accelerate",
    options=PyTorchOptions,
    concurrency_option="batch_size",
    batching="static",
    formats=("directory",),
    precisions=("fp32", "fp16", "bf16", "as_stored"),
    decoding=("greedy", "sampling", "beam"),
    devices=("cpu", "cuda", "mps", "xpu"),
    token_times=True,
    accepts_token_ids=True,
    quantization=("bnb-int8", "bnb-nf4", "torchao-int8wo", "torchao-int8dq", "dynamic-int8", "gguf"),
    lora=True,
    speculative=True,
    draft_free=("prompt_lookup_num_tokens",),
    random_weights=True,
    converts_gguf=True,
    tokenizer_rank=10,
    memory=memory,
)

# Both make the engine; each has a version below which this backend does not work.
_MINIMUM = {"torch": "2.6", "transformers": SPEC.minimum_version}


class PyTorchBackend:
    """The engine; nothing of it is imported until one of these is called."""

    spec = SPEC

    def probe(self) -> Found | Missing:
        """Versions from the packages' metadata; torch itself is imported, as only it knows the devices."""
        from llenergymeasure.backends.pytorch_engine import ENGINE_ERRORS, available_devices
        from llenergymeasure.model.event import Found, Missing

        versions = {}
        for package, minimum in _MINIMUM.items():
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                return Missing(SPEC.name, f"{package} is not installed", SPEC.remedy)
            if not version_at_least(versions[package], minimum):
                return Missing(SPEC.name, f"{package} {versions[package]} is older than {minimum}", SPEC.remedy)
        try:
            devices = available_devices()
        except ENGINE_ERRORS as error:
            return Missing(SPEC.name, f"torch cannot be imported: {type(error).__name__}: {error}", SPEC.remedy)
        python = Interpreter(platform.python_version(), platform.python_implementation(), versions)
        return Found(SPEC.name, SPEC.engine, _engine_version(), devices, python)

    def tokenizer(self, model: ModelRef, *, trust_remote_code: bool = False) -> Tokenizer:
        """A process that asks for one opens no session: torch, which takes longer to import than all else here, is left out."""
        from llenergymeasure.backends.pytorch_engine import torch_left_out
        from llenergymeasure.backends.pytorch_tokenizer import PyTorchTokenizer, load_tokenizer

        needs_torch = trust_remote_code or model.format == "gguf"
        with nullcontext() if needs_torch else torch_left_out():
            return PyTorchTokenizer(model.name, load_tokenizer(model, trust_remote_code))

    def open(self, job: TrialJob) -> Session:
        from llenergymeasure.backends.pytorch_generate import check_speculation
        from llenergymeasure.backends.pytorch_load import load
        from llenergymeasure.backends.pytorch_session import PyTorchSession

        options = options_of(job.backend.options)
        check_speculation(job.decoder, options, has_draft=job.draft_model is not None)
        if options.num_threads is not None:
            import torch

            torch.set_num_threads(options.num_threads)
        return PyTorchSession(job, options, load(job, options), _engine_version())

    def convert(self, job: ConvertJob) -> None:
        from llenergymeasure.backends.pytorch_convert import convert

        convert(job)

    def serve(self, job: ServeJob) -> None:
        raise not_served(SPEC)


def _engine_version() -> str:
    return f"{version('transformers')} (torch {version('torch')})"


BACKEND: Backend = PyTorchBackend()
