"""A model in a directory as transformers and vLLM open it: ``config.json``, weights, tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from llenergymeasure.errors import ConfigError
from llenergymeasure.model.job import ModelRef
from llenergymeasure.models import safetensors
from llenergymeasure.models.architecture import architecture_of_config
from llenergymeasure.models.families import UndescribedError
from llenergymeasure.models.weights import StoredWeights, WeightFile, sampled_digest

Weights = Literal["real", "random"]

_PICKLE, _PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "tekken.json", "*.tiktoken")
_LONGEST_CONFIG = 16 * 1024 * 1024


class IncompleteError(ConfigError):
    """A directory lacks something. ``problems`` lists everything that it lacks."""

    def __init__(self, folder: Path, problems: tuple[str, ...]) -> None:
        super().__init__(
            f"{folder} holds no whole model:\n" + "\n".join(f"  - {problem}" for problem in problems),
            hint="a model directory holds config.json, model.safetensors (or parts and their index) and a tokenizer",
        )
        self.problems = problems


def problems_of(folder: Path, weights: Weights) -> tuple[str, ...]:
    """All that is wrong with or missing from a directory. With random weights it needs its ``config.json`` alone."""
    if not folder.is_dir():
        return (f"{folder}: is not a directory",)
    problems = []
    try:
        read_config(folder / "config.json")
    except ConfigError as error:
        problems.append(f"{error}{_not_a_model(folder)}")
    if weights == "random":
        return tuple(problems)
    try:
        stored_weights(folder)
    except ConfigError as error:
        problems.append(str(error))
    if not has_tokenizer(folder):
        problems.append(f"{folder}: has no tokenizer: none of {', '.join(_TOKENIZERS)}")
    return tuple(problems)


def has_tokenizer(folder: Path) -> bool:
    """Whether a directory holds the files of a tokenizer."""
    return any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS)


def open_directory(folder: Path, *, name: str, revision: str | None, weights: Weights, digest: bool = True) -> ModelRef:
    """The model in a directory. ``digest`` identifies the weights where no revision does.

    Raises ``IncompleteError``.
    """
    problems = problems_of(folder, weights)
    if problems:
        raise IncompleteError(folder, problems)
    config = read_config(folder / "config.json")
    stored = stored_weights(folder) if weights == "real" else None
    try:
        architecture, reason = architecture_of_config(config, stored), None
    except UndescribedError as error:
        architecture, reason = None, str(error)
    return ModelRef(
        name=name,
        path=str(folder),
        format="directory",
        revision=revision,
        weights_sha256=sampled_digest(stored.files) if stored is not None and digest else None,
        quantised=weights == "real" and bool(config.get("quantization_config")),
        architecture=architecture,
        architecture_reason=reason,
        weight_bytes=None if stored is None else stored.bytes,
        has_tokenizer=has_tokenizer(folder),
    )


def read_config(path: Path) -> Mapping[str, Any]:
    """A ``config.json``. Raises ``ConfigError``."""
    if not path.is_file():
        raise ConfigError(f"{path}: does not exist")
    try:
        if path.stat().st_size > _LONGEST_CONFIG:
            raise ValueError("it is longer than any configuration")
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it holds no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a model's configuration: {error}") from error
    return value


def stored_weights(folder: Path) -> StoredWeights:
    """The weights of a directory. Raises ``ConfigError`` naming files that are missing or damaged."""
    for index, single in ((safetensors.INDEX, safetensors.SINGLE), (_PICKLE_INDEX, _PICKLE)):
        paths: tuple[Path, ...] = ()
        if (folder / index).is_file():
            paths = tuple(folder / name for name in safetensors.shard_names(folder / index))
        elif (folder / single).is_file():
            paths = (folder / single,)
        if not paths:
            continue
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise ConfigError(f"{folder}: of {len(paths)} files of weights are missing: {', '.join(missing)}")
        if single == _PICKLE:  # a pickle has no header to read, and is never unpickled here
            return StoredWeights(tuple(WeightFile(path, path.stat().st_size, 0) for path in paths))
        return safetensors.read_safetensors(paths)
    raise ConfigError(f"{folder}: has no weights: neither {safetensors.SINGLE} nor {safetensors.INDEX}")


def _not_a_model(folder: Path) -> str:
    """What the directory is instead, where that is plain."""
    if (folder / "adapter_config.json").is_file():
        return " (this is a LoRA adapter: name its base as `model` and this directory as `lora.adapter_path`)"
    found = sorted(path.name for path in folder.glob("*.gguf"))
    return f" (to run a GGUF name the file: {folder / found[0]})" if found else ""
