"""Hashes: the same measurement has the same one, however it was written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from llenergymeasure.config.experiment import ExperimentConfig

# Raised only when a default changes its meaning.
DEFAULTS_VERSION = 1

_NOT_HASHED = frozenset({"energy", "window", "baseline"})
_STRATEGY = "warmup.strategy"  # all of the warm-up that is hashed
_DIGITS = 16


def measurement_config_hash(config: ExperimentConfig, dataset_sha256: str | None = None) -> str:
    """16 hex digits over what is measured.

    Only fields that differ from their default enter, so that fields added later and defaults written out change nothing. How
    rigorously it is measured (window, baseline, the lengths of the warm-up) does not enter. Local models enter by their base
    name, dataset files by ``dataset_sha256``. Raises ``ValueError`` while the backend is open.
    """
    if config.backend is None:
        raise ValueError("the backend is not chosen yet: resolve the configuration first")
    what = {key: value for key, value in config.written().items() if key not in _NOT_HASHED}
    what["backend"] = config.backend
    what["model"] = _portable(config.model)
    if config.warmup.strategy != "steady":
        what["warmup"] = {"strategy": config.warmup.strategy}
    else:
        what.pop("warmup", None)
    if not what.get(config.backend):
        what.pop(config.backend, None)
    lora = what.get("lora")
    if lora and "adapter_path" in lora:
        what["lora"] = {**lora, "adapter_path": PurePath(lora["adapter_path"]).name}
    decoder = what.get("decoder")
    if decoder and "draft_model" in decoder:
        what["decoder"] = {**decoder, "draft_model": _portable(decoder["draft_model"])}
    if dataset_sha256 is not None:
        what["dataset"] = _dataset(what.get("dataset"), dataset_sha256)
    return digest({"defaults_version": DEFAULTS_VERSION, "config": what})


def is_hashed(key: str) -> bool:
    """Whether a dotted key is part of what is measured. Experiments of one study cannot differ in anything else."""
    section = key.partition(".")[0]
    return key == _STRATEGY if section == "warmup" else section not in _NOT_HASHED


def study_design_hash(identities: Iterable[tuple[str, str | None]]) -> str:
    """16 hex digits over a set of (measurement_config_hash, environment)."""
    return digest(sorted([config_hash, environment or ""] for config_hash, environment in set(identities)))


def digest(value: Any) -> str:
    """16 hex digits over a JSON value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _portable(model: str) -> str:
    """A local path by its last part, anything else as it is."""
    local = model.endswith(".gguf") or model.startswith(("/", "./", "../", "~"))
    return PurePath(model).name if local else model


def _dataset(written: Any, sha256: str) -> Any:
    rest = {key: value for key, value in written.items() if key != "path"} if isinstance(written, Mapping) else {}
    return {**rest, "sha256": sha256}
