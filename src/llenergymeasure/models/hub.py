"""Models of the Hugging Face hub: found in its cache, described and downloaded by its own library.

The cache's layout is read here directly (``models--<owner>--<name>/refs`` and ``/snapshots``, documented under "Understand
caching"), because a dry run must not import the library's HTTP client.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.directory import Weights, problems_of
from llenergymeasure.models.hub_progress import progress_to
from llenergymeasure.models.progress import Say

_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SMALL = re.compile(r"[^/]+\.(json|txt|model|jinja|tiktoken|py)|additional_chat_templates/[^/]+\.jinja")
_PUBLIC = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models are fetched from and kept. ``offline``: nothing is asked."""

    folder: Path
    offline: bool = False
    endpoint: str = _PUBLIC


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a model in the cache, whole or in part."""

    path: Path
    commit: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One commit of a model on the hub: its files with their bytes."""

    commit: str
    files: Mapping[str, int]


def hub_here() -> Hub:
    """The hub as the environment sets it (``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``)."""
    from huggingface_hub import constants

    return Hub(Path(constants.HF_HUB_CACHE), bool(constants.HF_HUB_OFFLINE), constants.ENDPOINT)


def is_hub_name(name: str) -> bool:
    """Whether a name could be ``owner/model`` (or one of the old ids without an owner)."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def cached(hub: Hub, name: str, revision: str | None) -> Snapshot | None:
    """What the cache holds of a model at a revision, ``main`` when none is given."""
    repository = hub.folder / ("models--" + name.replace("/", "--"))
    commit = revision or "main"
    if _COMMIT.fullmatch(commit) is None:
        reference = repository / "refs" / commit
        if ".." in commit or not reference.is_file():
            return None
        commit = reference.read_text(encoding="utf-8").strip()
    path = repository / "snapshots" / commit
    return Snapshot(path, commit) if path.is_dir() else None


def fetch(hub: Hub, name: str, revision: str | None, weights: Weights, say: Say) -> Snapshot:
    """A whole snapshot, downloaded as far as it is not cached. With random weights, all but the weights.

    Unless a commit is named the hub is asked for the newest one; when it refuses or does not answer, a whole one in the cache
    serves, and that is said.
    Raises ``ConfigError`` with the remedy.
    """
    here = cached(hub, name, revision)
    whole = here is not None and not problems_of(here.path, weights)
    if here is not None and whole and (hub.offline or here.commit == revision):
        return here
    if hub.offline:
        raise ConfigError(
            offline_reason(name), hint=f"unset HF_HUB_OFFLINE, or `hf download {name}` where there is a network"
        )
    try:
        listing = look_up(hub, name, revision)
    except ConfigError as error:
        if here is None or not whole:
            raise
        say(f"using the cached commit {here.commit[:12]} of {name} ({error})")
        return here
    return _download(hub, name, listing, weights, say)


def offline_reason(name: str) -> str:
    """What to say of a model that is not cached when the hub must not be asked."""
    return f"{name}: not in the cache, or not whole, and HF_HUB_OFFLINE is set"


def look_up(hub: Hub, name: str, revision: str | None) -> Listing:
    """What the hub says of a model, access checked. Raises ``ConfigError`` with the remedy."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.endpoint)
    with translated(hub, name, revision):
        info = api.model_info(name, revision=revision, files_metadata=True)
        if info.gated:
            api.auth_check(name)
    if info.sha is None:
        raise ConfigError(f"{name}: the hub names no commit of it")
    return Listing(info.sha, {file.rfilename: file.size or 0 for file in info.siblings or ()})


def wanted(listing: Listing, weights: Weights) -> Mapping[str, int]:
    """The files to download with their bytes: configuration, tokenizer, and one set of weights, safetensors before pickles."""
    files = {name: size for name, size in listing.files.items() if _SMALL.fullmatch(name)}
    if weights == "random":
        return files
    top = {name: size for name, size in listing.files.items() if "/" not in name}
    for single, stem, suffix in (
        ("model.safetensors", "model", ".safetensors"),
        ("pytorch_model.bin", "pytorch_model", ".bin"),
    ):
        parts = {
            name: size for name, size in top.items() if name.startswith(stem) and suffix in name and name not in files
        }
        if f"{single}.index.json" not in top:
            parts = {name: size for name, size in parts.items() if name == single}
        if parts:
            return files | parts
    return files


def missing_bytes(hub: Hub, name: str, listing: Listing, weights: Weights) -> int:
    """Bytes of the wanted files that the cache does not hold."""
    here = cached(hub, name, listing.commit)
    return sum(
        size for file, size in wanted(listing, weights).items() if here is None or not (here.path / file).is_file()
    )


def unusable(name: str, listing: Listing) -> ConfigError | None:
    """Why a repository is no model that can be opened, judged by its list of files; ``None`` when it looks like one."""
    if "config.json" in listing.files:
        return None
    ggufs = sorted(file for file in listing.files if file.endswith(".gguf"))
    if ggufs:
        return ConfigError(
            f"{name}: a repository of {len(ggufs)} GGUF files, not one model",
            hint=f"`hf download {name} {ggufs[0]} --local-dir .`, then name that file as `model`",
        )
    return ConfigError(f"{name}: it has no config.json, so it is not a model that an engine opens")


def _download(hub: Hub, name: str, listing: Listing, weights: Weights, say: Say) -> Snapshot:
    from huggingface_hub import snapshot_download

    refused = unusable(name, listing)
    if refused is not None:
        raise refused
    needed = missing_bytes(hub, name, listing, weights)
    if needed:
        lacking = disk_problem(hub, needed)
        if lacking:
            raise ConfigError(f"{name}: {lacking}", hint="free space, or set HF_HOME to another disk")
        say(f"downloading {name} at {listing.commit[:12]} from the hub: {needed / 1e6:,.1f} MB")
    with translated(hub, name, listing.commit):
        path = snapshot_download(
            name,
            revision=listing.commit,
            allow_patterns=list(wanted(listing, weights)),
            cache_dir=hub.folder,
            endpoint=hub.endpoint,
            tqdm_class=progress_to(say, f"downloading {name}"),
        )
    return Snapshot(Path(path), listing.commit)


def disk_problem(hub: Hub, needed_bytes: int) -> str | None:
    """Words when the cache's disk cannot take a download."""
    folder = next(parent for parent in (hub.folder, *hub.folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free >= needed_bytes:
        return None
    return f"{needed_bytes / 1e9:,.1f} GB are to be downloaded to {folder}, {free / 1e9:,.1f} GB are free"


@contextmanager
def translated(hub: Hub, name: str, revision: str | None) -> Iterator[None]:
    """The library's errors, in words that say what to do."""
    from huggingface_hub import errors

    # Whichever HTTP client this version of the library is built on: the base of all its errors.
    transport: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    page = f"{hub.endpoint}/{name}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ConfigError(
            f"{name}: gated, and this account has no access to it",
            hint=f"accept its licence at {page}, then `hf auth login` (or set HF_TOKEN)",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigError(
            f"{name}: the hub has no model of that name that this account may see",
            hint="check the spelling (no directory has that name either); if it is private, `hf auth login` or set HF_TOKEN",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ConfigError(f"{name}: it has no revision {revision!r}", hint=f"see {page}/commits/main") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401:
            raise ConfigError(f"{name}: the hub refuses the token", hint="`hf auth login` (or set HF_TOKEN)") from error
        raise ConfigError(f"{name}: {hub.endpoint} answered {status}", hint="try again later") from error
    except (transport, OSError) as error:
        raise ConfigError(
            f"{name}: {hub.endpoint} cannot be reached: {str(error) or type(error).__name__}",
            hint="check the network or HF_ENDPOINT; or name a local directory or a .gguf file; builtin:smollm2-135m needs no hub",
        ) from error
