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

_NOT_HASHED = frozenset({"energy", "window", "baseline", "environment"})
_STRATEGY = "warmup.strategy"  # all of the warm-up that is hashed
_DIGITS = 16
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def measurement_config_hash(config: ExperimentConfig, dataset_sha256: str | None = None) -> str:
    """16 hex digits over what is measured.

    Only fields that differ from their default enter, so that fields added later and defaults written out change nothing. How
    rigorously it is measured (window, baseline, the lengths of the warm-up) does not enter. Local models enter by their base
    name, dataset files by ``dataset_sha256``. Raises ``ValueError`` while the backend is open.
    """
    if config.backend is None:
        raise ValueError("the backend is not chosen yet: resolve the configuration first")
    written = config.written()
    if dataset_sha256 is not None:
        written["dataset"] = _dataset(written.get("dataset"), dataset_sha256)
    return hash_of_parts(part_text(key, written[key]) for key in sorted(written))


def part_text(key: str, written: Any) -> str:
    """What one field of ``ExperimentConfig.written()`` gives to the hash; nothing where it is not hashed."""
    part = _hashed(key, written)
    return "" if part is None or part == {} else f"{_canonical(key)}:{_canonical(part)}"


def hash_of_parts(texts: Iterable[str]) -> str:
    """The hash of a measurement from the texts of its fields, sorted by key; ``part_text`` makes them."""
    return _hex(f'{{"config":{{{",".join(filter(None, texts))}}},"defaults_version":{DEFAULTS_VERSION}}}')


def identifies(key: str) -> bool:
    """Whether experiments of one study can differ in a dotted key: in what is measured, and in the environment."""
    section = key.partition(".")[0]
    if section == "environment":
        return True
    return key == _STRATEGY if section == "warmup" else section not in _NOT_HASHED


def study_design_hash(identities: Iterable[tuple[str, str | None]]) -> str:
    """16 hex digits over a set of (measurement_config_hash, environment)."""
    return digest(sorted([config_hash, environment or ""] for config_hash, environment in set(identities)))


def digest(value: Any) -> str:
    """16 hex digits over a JSON value; the order of keys does not matter."""
    return _hex(_canonical(value))


def _canonical(value: Any) -> str:
    return _ENCODER.encode(value)


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _hashed(key: str, written: Any) -> Any:
    """The part of one field's value that says what is measured."""
    if key in _NOT_HASHED:
        return None
    if key == "model":
        return portable(written)
    if key == "warmup":
        return {"strategy": written["strategy"]} if "strategy" in written else None
    if key == "lora" and "adapter_path" in written:
        return {**written, "adapter_path": PurePath(written["adapter_path"]).name}
    if key == "decoder" and "draft_model" in written:
        return {**written, "draft_model": portable(written["draft_model"])}
    return written


def portable(model: str) -> str:
    """What a result knows a model by: a local path by its last part, anything else as it is."""
    local = model.endswith(".gguf") or model.startswith(("/", "./", "../", "~"))
    return PurePath(model).name if local else model


def _dataset(written: Any, sha256: str) -> Any:
    rest = {key: value for key, value in written.items() if key != "path"} if isinstance(written, Mapping) else {}
    return {**rest, "sha256": sha256}
