"""LoRA adapters: a directory of this machine, or a repository of the hub."""

from __future__ import annotations

import os
from pathlib import Path

from llenergymeasure.config.sections import LoraConfig
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.job import Lora
from llenergymeasure.models import hub
from llenergymeasure.models.hub_progress import progress_to
from llenergymeasure.models.progress import Say
from llenergymeasure.models.weights import WeightFile, sampled_digest

_CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


def find_adapter(config: LoraConfig, *, base: Path, say: Say) -> Lora:
    """The adapter of a configuration, downloaded if need be. Relative paths count from ``base``.

    Raises ``ConfigError`` whose hint is the remedy.
    """
    if config.adapter_path is not None:
        folder = Path(os.path.abspath(base / os.path.expanduser(config.adapter_path)))
        weights = _weights(folder)
        if weights is None:
            raise ConfigError(
                f"{config.adapter_path}: {folder} holds no adapter",
                hint=f"an adapter's directory holds {_CONFIG} and {_WEIGHTS[0]}",
            )
        return Lora(folder.name, str(folder), config.merge_weights, sha256=sampled_digest([_described(weights)]))
    assert config.adapter_id is not None
    snapshot = _from_hub(hub.hub_here(), config.adapter_id, say)
    return Lora(config.adapter_id, str(snapshot.path), config.merge_weights, revision=snapshot.commit)


def _weights(folder: Path) -> Path | None:
    if not (folder / _CONFIG).is_file():
        return None
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


def _described(weights: Path) -> WeightFile:
    return WeightFile(weights, weights.stat().st_size, 0)


def _from_hub(place: hub.Hub, name: str, say: Say) -> hub.Snapshot:
    from huggingface_hub import snapshot_download

    here = hub.cached(place, name, None)
    if here is not None and _weights(here.path) is not None:
        return here
    if place.offline:
        raise ConfigError(hub.offline_reason(name), hint=f"unset HF_HUB_OFFLINE, or `hf download {name}` elsewhere")
    listing = hub.look_up(place, name, None)
    weights = next(file for file in _WEIGHTS if file in listing.files)
    if _CONFIG not in listing.files or weights is None:
        raise ConfigError(f"{name}: not an adapter: it has no {_CONFIG} with {_WEIGHTS[0]}")
    say(f"downloading adapter {name} at {listing.commit[:12]}: {listing.files[weights] / 1e6:,.1f} MB")
    with hub.translated(place, name, listing.commit):
        path = snapshot_download(
            name,
            revision=listing.commit,
            allow_patterns=[_CONFIG, weights],
            cache_dir=place.folder,
            endpoint=place.endpoint,
            tqdm_class=progress_to(say, f"downloading {name}"),
        )
    return hub.Snapshot(Path(path), listing.commit)
