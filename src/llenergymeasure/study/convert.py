"""The form of a model that a backend opens; a GGUF is dequantised once, by the backend itself, into the cache."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from llenergymeasure.config import backend_section
from llenergymeasure.errors import BackendError, ConfigError
from llenergymeasure.model.job import ConvertJob, ModelRef
from llenergymeasure.models.conversion import NeedsConversion, Unfit, model_for
from llenergymeasure.runners.job import run_job
from llenergymeasure.runners.resolve import runner_at

_TIMEOUT_S = 1800.0


def as_opened(stored: ModelRef, backend: str, at: str, say: Callable[[str], None], *, packed: bool = False) -> ModelRef:
    """The model as ``backend`` opens it; ``packed``: in the blocks of its GGUF, where it is one.

    Raises ``ConfigError`` when it cannot, ``BackendError`` when converting failed.
    """
    form = model_for(backend_section.spec_of(backend), stored, packed=packed)
    if isinstance(form, Unfit):
        raise ConfigError(form.reason, hint=form.remedy)
    if not isinstance(form, NeedsConversion):
        return form
    form.destination.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{form.destination}.lock"):
        form = model_for(backend_section.spec_of(backend), stored)
        if isinstance(form, NeedsConversion):
            _convert(form, backend, at, say)
            form = model_for(backend_section.spec_of(backend), stored)
    if isinstance(form, ModelRef):
        return form
    raise BackendError(f"{stored.name}: converting it for {backend} left nothing that can be opened")


def _convert(form: NeedsConversion, backend: str, at: str, say: Callable[[str], None]) -> None:
    say(f"dequantising {form.model.name} for {backend}, once (kept in the cache)")
    with tempfile.TemporaryDirectory(prefix="llem-convert-") as folder:
        job = ConvertJob(backend, form.model, str(form.destination))
        run_job(runner_at(at), job, Path(folder), timeout_s=_TIMEOUT_S)
