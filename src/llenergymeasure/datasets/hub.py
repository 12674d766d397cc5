"""Prompts in a dataset repository of the Hugging Face hub, from the network or from the hub's local cache.

Only data files are read; code of a repository is never run. Files are fetched one after the other, as far as prompts are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.config.dataset import DatasetFile
from llenergymeasure.datasets.files import sha256_with
from llenergymeasure.datasets.hub_files import data_files
from llenergymeasure.datasets.rows import Row, read_rows
from llenergymeasure.datasets.table import Columns, TableDataset
from llenergymeasure.errors import ConfigError

_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class _Repository:
    """A dataset repository at one commit. ``names`` are its files; offline, those that the cache holds."""

    repo: str
    commit: str
    names: tuple[str, ...]

    def fetch(self, name: str) -> Path:
        """The file in the local cache, downloaded where it is missing."""
        from huggingface_hub import hf_hub_download

        with _explained(self.repo, self.commit):
            return Path(hf_hub_download(self.repo, name, repo_type="dataset", revision=self.commit))


def open_hub(choice: DatasetFile) -> TableDataset:
    """The dataset in a repository. The commit is settled now and part of the name. Raises ``ConfigError``."""
    assert choice.hub is not None
    repository = _repository(choice.hub, choice.revision)
    card = _card(repository)
    files = data_files(choice.hub, repository.names, card, choice.subset, choice.split)
    columns = Columns(choice.column, choice.max_new_tokens_column)
    content = "\n".join((choice.hub, repository.commit, *files))

    def rows() -> Iterator[Row]:
        for name in files:
            yield from read_rows(repository.fetch(name), f"{choice.hub}/{name}", columns.wanted)

    return TableDataset(
        name=f"{choice.hub}@{repository.commit}",
        sha256=sha256_with(hashlib.sha256(content.encode()).hexdigest(), columns),
        licence=_licence(card),
        columns=columns,
        rows=rows,
    )


def _repository(repo: str, revision: str | None) -> _Repository:
    """Settle the commit: the snapshot's folder is named after it, from the hub or, where that is out of reach, from the cache."""
    from huggingface_hub import HfApi, snapshot_download

    with _explained(repo, revision):
        snapshot = Path(snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=[_CARD]))
    try:
        info = HfApi().dataset_info(repo, revision=snapshot.name)
        names = [file.rfilename for file in info.siblings or ()]
    except _transport_errors():
        files = (path for path in snapshot.rglob("*") if path.is_file())
        names = [path.relative_to(snapshot).as_posix() for path in files]
    return _Repository(repo, snapshot.name, tuple(sorted(names)))


def _card(repository: _Repository) -> Mapping[str, Any]:
    """What the head of the card says; empty when there is no card, or none that can be read."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    if _CARD not in repository.names:
        return {}
    try:
        return metadata_load(repository.fetch(_CARD)) or {}
    except (ValueError, YAMLError):
        return {}


def _licence(card: Mapping[str, Any]) -> str | None:
    licence = card.get("license")
    return ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence) if licence else None


@contextmanager
def _explained(repo: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's errors into what a user can do about them."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"https://huggingface.co/datasets/{repo}"
    try:
        yield
    except GatedRepoError as error:
        hint = f"accept its terms at {page}, then `hf auth login` or set HF_TOKEN"
        raise ConfigError(f"{repo}: the dataset is gated, and this account has no access", hint=hint) from error
    except RepositoryNotFoundError as error:
        hint = "check owner/name; for a private one, `hf auth login` or set HF_TOKEN"
        raise ConfigError(f"{repo}: the hub knows no such dataset", hint=hint) from error
    except RevisionNotFoundError as error:
        raise ConfigError(f"{repo}: no revision {revision!r}", hint=f"see {page}/commits/main") from error
    except HFValidationError as error:
        raise ConfigError(f"{repo!r} is not a hub id: {error}", hint="write owner/name") from error
    except LocalEntryNotFoundError as error:
        at = f" --revision {revision}" if revision else ""
        once = f"once with network: hf download --repo-type dataset {repo}{at}"
        why, first = (
            ("HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE")
            if constants.HF_HUB_OFFLINE
            else (f"{constants.ENDPOINT} cannot be reached", "check the network or HF_ENDPOINT")
        )
        raise ConfigError(f"{repo}: not in the local cache, and {why}", hint=f"{first}, or {once}") from error
    except _transport_errors() as error:
        raise ConfigError(
            f"{repo}: the hub does not answer: {error}", hint="check the network, or try later"
        ) from error


def _transport_errors() -> tuple[type[BaseException], ...]:
    """What a request to the hub may raise. The HTTP library underneath has changed over time, and with it the base."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *HfHubHTTPError.__bases__)
