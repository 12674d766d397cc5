"""The engine itself: its import, its devices, and its errors, translated where they leave it."""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from llenergymeasure.errors import BackendError

# What torch, transformers and the models' own code raise for what a user can cause.
ENGINE_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)

# Parts of messages by which allocators on CPU and accelerators say that memory is used up; torch has no common type for it.
_OUT_OF_MEMORY = ("out of memory", "defaultcpuallocator", "not enough memory", "alloc_failed")


def offline_transformers() -> Any:
    """The library, kept from the network: models are on this machine when a worker opens them."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers = import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    return transformers


def available_devices() -> tuple[str, ...]:
    """Devices that torch can use here, the fastest kind first."""
    import torch

    present = (
        ("cuda", torch.cuda.is_available()),
        ("xpu", hasattr(torch, "xpu") and torch.xpu.is_available()),
        ("mps", torch.backends.mps.is_available()),
        ("cpu", True),
    )
    return tuple(name for name, here in present if here)


@contextmanager
def torch_left_out() -> Iterator[None]:
    """Without torch transformers has its tokenizers and nothing else, for the rest of the process; ids are the same.

    Where either is imported already everything stays as it is.
    """
    if "torch" in sys.modules or "transformers" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # as the import system marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules["torch"]


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Let errors leave as ``BackendError`` that names what was being done, or as ``MemoryError``; a full disk stays itself."""
    try:
        yield
    except (*ENGINE_ERRORS, *_errors_of_readers()) as error:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, RuntimeError) and any(part in text.lower() for part in _OUT_OF_MEMORY):
            raise MemoryError(f"{doing}: {error}") from error
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise BackendError(f"{doing}: {text}", hint=_hint(error)) from error


def _errors_of_readers() -> tuple[type[Exception], ...]:
    """The error of safetensors, which is of no common kind, once that library is in use."""
    safetensors: Any = sys.modules.get("safetensors")
    return () if safetensors is None else (safetensors.SafetensorError,)


def missing_library(what: str, package: str) -> BackendError:
    """An option needs a library that is not installed in this environment."""
    return BackendError(f"{what} needs {package}, which is not installed here", hint=f"pip install {package}")


def _hint(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"pip install {error.name.partition('.')[0]}"
    if "trust_remote_code" in str(error):
        return "the model brings its own code: read it, then set trust_remote_code: true"
    return ""
