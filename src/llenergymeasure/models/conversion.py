"""Which form of a model a backend opens, and where a GGUF that has to be dequantised for it belongs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.job import ModelRef
from llenergymeasure.models.cache import cache_dir
from llenergymeasure.models.directory import stored_weights


@dataclass(frozen=True, slots=True)
class NeedsConversion:
    """The backend opens this GGUF once a ``convert`` job has written it as a directory to ``destination``."""

    model: ModelRef
    destination: Path


@dataclass(frozen=True, slots=True)
class Unfit:
    """The backend cannot open this model, why, and what would help."""

    reason: str
    remedy: str


def model_for(spec: BackendSpec, model: ModelRef, *, packed: bool = False) -> ModelRef | NeedsConversion | Unfit:
    """The model as the backend opens it, or what stands between them. ``packed``: it keeps the blocks of a GGUF."""
    if model.format in spec.formats or (packed and model.format == "gguf"):
        return model
    if model.format == "directory":
        return Unfit(
            f"{spec.name} opens GGUF files, and {model.name} is not one",
            "download the model as a GGUF (`hf download <repository> <file>.gguf --local-dir .`) or make one with llama.cpp's "
            "convert_hf_to_gguf.py, and name the file as `model`",
        )
    if not spec.converts_gguf:
        return Unfit(
            f"{spec.name} opens no GGUF files", "name the original model on the hub, or a directory that holds it"
        )
    destination = conversion_target(model)
    weight_bytes = _converted_bytes(destination)
    if weight_bytes is None:
        return NeedsConversion(model, destination)
    return replace(model, path=str(destination), format="directory", quantised=False, weight_bytes=weight_bytes)


def conversion_target(model: ModelRef) -> Path:
    """The directory for the dequantised form of a GGUF: one for each content of weights, whatever its file is called.

    A conversion is written beside it under a temporary name and renamed, so that one which is there is whole.
    """
    digest = (model.weights_sha256 or "").rpartition(":")[2]
    if not digest:
        raise ConfigError(f"{model.name}: a model whose weights are not identified cannot be converted")
    label = re.sub(r"[^\w.-]+", "-", model.name.removesuffix(".gguf"))
    return cache_dir() / "models" / "converted" / f"{label}-{digest[:16]}"


def _converted_bytes(folder: Path) -> int | None:
    """Bytes of the weights of a finished conversion; ``None`` where there is none, or a damaged one."""
    if not (folder / "config.json").is_file():
        return None
    try:
        return stored_weights(folder).bytes
    except ConfigError:
        return None
