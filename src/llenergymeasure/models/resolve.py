"""From the name in a configuration to a model that a backend can open, with facts.

A name is ``builtin:<name>``, ``preset:<name>``, a ``.gguf`` file, a ``.json`` configuration, a directory, or an id on the hub, in
this order; relative paths count from the folder of the file that holds the configuration.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.errors import ConfigError
from llenergymeasure.model.job import ModelRef
from llenergymeasure.models import builtin, hub, presets
from llenergymeasure.models.directory import IncompleteError, Weights, open_directory, problems_of, read_config
from llenergymeasure.models.gguf_file import open_gguf
from llenergymeasure.models.progress import Say


@dataclass(frozen=True, slots=True)
class NotLocal:
    """A model that is not here. Without ``problems`` a download is all it takes; ``download_bytes`` when they are known."""

    reason: str
    download_bytes: int | None = None
    problems: tuple[str, ...] = ()


def find_model(name: str, revision: str | None, *, base: Path, weights: Weights, say: Say) -> ModelRef:
    """The model, downloaded if need be, checked, and described. Raises ``ConfigError`` whose hint is the remedy."""
    local = _find_local(name, revision, base, weights)
    if local is not None:
        return local
    if name.startswith(builtin.PREFIX):
        model = builtin.builtin(name)
        return open_gguf(builtin.fetch(model, say), name=name, digest=model.sha256)
    snapshot = hub.fetch(hub.hub_here(), name, revision, weights, say)
    return open_directory(snapshot.path, name=name, revision=snapshot.commit, weights=weights, digest=False)


def known_locally(
    name: str, revision: str | None, *, base: Path, weights: Weights = "real", network: bool = False
) -> ModelRef | NotLocal:
    """The model if it is here, with nothing downloaded and nothing raised: for dry runs and pre-flight.

    With ``network`` the hub is asked whether a model that is not here can be had, and how large it is.
    """
    try:
        local = _find_local(name, revision, base, weights)
        if local is not None:
            return local
        if name.startswith(builtin.PREFIX):
            return _known_builtin(builtin.builtin(name))
        return _known_on_hub(hub.hub_here(), name, revision, weights, network=network)
    except IncompleteError as error:
        return NotLocal(str(error), problems=error.problems)
    except ConfigError as error:
        return NotLocal(str(error), problems=(f"{error} ({error.hint})" if error.hint else str(error),))


def _find_local(name: str, revision: str | None, base: Path, weights: Weights) -> ModelRef | None:
    """The model when its name says that it is on this machine; ``None`` for ``builtin:`` and the hub. Raises ``ConfigError``."""
    path = Path(os.path.abspath(base / os.path.expanduser(name)))
    on_hub = hub.is_hub_name(name) and not path.is_dir() and not name.endswith((".gguf", ".json"))
    if revision is not None and not on_hub:
        raise ConfigError(f"{name}: model_revision is for models of the hub", hint="remove model_revision")
    if on_hub:
        return None
    if name.startswith(builtin.PREFIX):
        builtin.builtin(name)
        _refuse_random(name, weights)
        return None
    if name.startswith(presets.PREFIX):
        _require_random(name, weights)
        return _described(presets.config_directory(name.removeprefix(presets.PREFIX), presets.preset(name)), name)
    if name.endswith(".gguf"):
        _refuse_random(name, weights)
        return open_gguf(_existing(path, name))
    if name.endswith(".json"):
        _require_random(name, weights)
        return _described(presets.config_directory(path.stem, read_config(_existing(path, name))), path.name)
    if path.is_file():
        raise ConfigError(
            f"{name}: a file of a kind that no backend opens", hint="a model is a directory or a .gguf file"
        )
    if not path.is_dir():
        raise ConfigError(
            f"{name}: there is no directory {path}", hint="paths count from the folder of the file that names them"
        )
    return open_directory(path, name=path.name, revision=None, weights=weights)


def _described(folder: Path, name: str) -> ModelRef:
    return open_directory(folder, name=name, revision=None, weights="random")


def _existing(path: Path, name: str) -> Path:
    if path.is_file():
        return path
    owner, _, file = name.rpartition("/")
    if hub.is_hub_name(owner) and "/" in owner:
        raise ConfigError(
            f"{name}: there is no file {path}", hint=f"from the hub: `hf download {owner} {file} --local-dir .`"
        )
    raise ConfigError(
        f"{name}: there is no file {path}", hint="paths count from the folder of the file that names them"
    )


def _refuse_random(name: str, weights: Weights) -> None:
    if weights == "random":
        raise ConfigError(
            f"{name}: a GGUF has real weights only",
            hint="for random weights name a preset (preset:smollm2-135m), a config.json, a directory or a model of the hub",
        )


def _require_random(name: str, weights: Weights) -> None:
    if weights == "real":
        raise ConfigError(f"{name}: an architecture without weights", hint="set `weights: random`")


def _known_builtin(model: builtin.Builtin) -> ModelRef | NotLocal:
    path = builtin.find_locally(model)
    if path is not None:
        return open_gguf(path, name=model.name, digest=model.sha256)
    return NotLocal(f"{model.name}: is downloaded on first use", model.download_bytes)


def _known_on_hub(
    place: hub.Hub, name: str, revision: str | None, weights: Weights, *, network: bool
) -> ModelRef | NotLocal:
    here = hub.cached(place, name, revision)
    if here is not None and not problems_of(here.path, weights):
        return open_directory(here.path, name=name, revision=here.commit, weights=weights, digest=False)
    if place.offline:
        reason = hub.offline_reason(name)
        return NotLocal(reason, problems=(f"{reason} (unset it, or `hf download {name}` where there is a network)",))
    if not network:
        return NotLocal(f"{name}: is downloaded from the hub on first use")
    listing = hub.look_up(place, name, revision)
    refused = hub.unusable(name, listing)
    if refused is not None:
        raise refused
    needed = hub.missing_bytes(place, name, listing, weights)
    lacking = hub.disk_problem(place, needed)
    return NotLocal(
        f"{name}: is downloaded from the hub on first use", needed, () if lacking is None else (f"{name}: {lacking}",)
    )
