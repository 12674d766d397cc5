"""A model in one GGUF file, or in the parts of a split one."""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.model.job import ModelRef
from llenergymeasure.models.architecture import architecture_of_gguf
from llenergymeasure.models.families import UndescribedError
from llenergymeasure.models.gguf import read_gguf
from llenergymeasure.models.weights import sampled_digest


def open_gguf(path: Path, *, name: str | None = None, digest: str | None = None) -> ModelRef:
    """The model in a file; its name is the file's and its digest sampled unless given. Raises ``ConfigError``."""
    header = read_gguf(path)
    try:
        architecture, reason = architecture_of_gguf(header), None
    except UndescribedError as error:
        architecture, reason = None, str(error)
    return ModelRef(
        name=name or path.name,
        path=str(path),
        format="gguf",
        weights_sha256=digest or sampled_digest(header.weights.files),
        quantised=header.quantised,
        architecture=architecture,
        architecture_reason=reason,
        weight_bytes=header.weights.bytes,
    )
