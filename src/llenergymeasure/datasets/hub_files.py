"""Which files of a dataset repository on the Hugging Face hub hold the prompts, by their names and the dataset card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from llenergymeasure.config.problems import did_you_mean
from llenergymeasure.datasets.rows import READERS
from llenergymeasure.errors import ConfigError

# Words in file names that tell splits apart, best first.
_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_SPLITS |= {"validation": "validation", "valid": "validation", "val": "validation", "dev": "validation"}

# Files that describe a dataset and hold no rows.
_NOT_DATA = {
    "dataset_infos.json",
    "dataset_info.json",
    "dataset_dict.json",
    "state.json",
    "metadata.json",
    "config.json",
}
_NOT_DATA |= {"requirements.txt", "license.txt", "readme.txt"}

_SHARD = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)$")


def data_files(
    repo: str, names: Sequence[str], card: Mapping[str, Any], subset: str | None, split: str | None
) -> tuple[str, ...]:
    """The files of a subset and split, in order; all shards of a numbered series, also those not in ``names``.

    The card's ``configs`` decide where it has them, else folder and file names. Raises ``ConfigError`` that lists what is there.
    """
    names = [name for name in names if _is_data(name)]
    if not names:
        raise ConfigError(
            f"{repo}: no file in a format of prompts ({', '.join(READERS)})",
            hint="try revision: refs/convert/parquet, the hub's own conversion",
        )
    configs = [config for config in card.get("configs") or () if isinstance(config, dict) and "data_files" in config]
    chosen = _by_card(repo, names, configs, subset, split) if configs else _by_name(repo, names, subset, split)
    best = min((PurePosixPath(name).suffix.lower() for name in chosen), key=_preference)
    return tuple(_with_all_shards(sorted(name for name in chosen if name.lower().endswith(best))))


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in READERS and path.name.lower() not in _NOT_DATA and not path.name.startswith(".")


def _preference(suffix: str) -> int:
    return (".parquet", *READERS).index(suffix)


def _by_card(
    repo: str, names: Sequence[str], configs: Sequence[Mapping[str, Any]], subset: str | None, split: str | None
) -> list[str]:
    subsets = {str(config.get("config_name", "default")): config for config in configs}
    marked = next((name for name, config in subsets.items() if config.get("default")), "default")
    splits = _splits(subsets[_named(repo, "subset", subset, tuple(subsets), marked)]["data_files"])
    patterns = splits[_named(repo, "split", split, tuple(splits), "train")]
    chosen = [name for name in names if any(_matches(name, pattern) for pattern in patterns)]
    if not chosen:
        raise ConfigError(f"{repo}: no file matches {', '.join(patterns)} (there: {_some(names)})")
    return chosen


def _splits(data_files: Any) -> dict[str, list[str]]:
    """Patterns by split: the card holds a pattern, a list of them, or a list of ``{split, path}``. A bare one is ``train``."""
    splits: dict[str, list[str]] = {}
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        named = entry if isinstance(entry, dict) else {"path": entry}
        paths = named.get("path")
        patterns = splits.setdefault(str(named.get("split", "train")), [])
        patterns.extend(str(path) for path in (paths if isinstance(paths, list) else [paths]))
    return splits


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern.replace("**/", "*")) or name == pattern


def _by_name(repo: str, names: Sequence[str], subset: str | None, split: str | None) -> list[str]:
    if subset is not None:
        inside = [name for name in names if subset in _parts(name)]
        if not inside:
            raise ConfigError(f"{repo}: no subset {subset!r} (files there: {_some(names)})")
        names = inside
    by_split: dict[str, list[str]] = {}
    for name in names:
        by_split.setdefault(_split_of(name), []).append(name)
    if len(by_split) > 1 or split is not None:
        by_split.pop("", None)
    wanted = _SPLITS.get(split, split) if split is not None else None
    chosen = by_split[_named(repo, "split", wanted, tuple(by_split), "train")]
    folders = sorted({str(PurePosixPath(name).parent) for name in chosen})
    if len(folders) > 1:
        raise ConfigError(f"{repo}: which subset? Files are in {_some(folders)}", hint="add subset: <folder>")
    return chosen


def _parts(name: str) -> Iterator[str]:
    """The folders of a file, and the beginnings of its stem that end before a separator."""
    path = PurePosixPath(name)
    yield from path.parts[:-1]
    yield path.stem
    yield from (path.stem[: match.start()] for match in re.finditer(r"[-_.]", path.stem))


def _split_of(name: str) -> str:
    """The split that a file's name, or else a folder, speaks of; empty when none does."""
    for part in reversed(PurePosixPath(name).parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return ""


def _named(repo: str, what: str, given: str | None, there: Sequence[str], default: str) -> str:
    """What was asked for, or else the only one, or else the default."""
    if given is None and len(there) == 1:
        return there[0]
    name = default if given is None else given
    if name in there:
        return name
    listed = ", ".join(there) or "none"
    if given is None:
        raise ConfigError(f"{repo}: which {what}? (there: {listed})", hint=f"add {what}: <one of them>")
    raise ConfigError(f"{repo}: no {what} {given!r} (there: {listed})", hint=did_you_mean(given, there))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _with_all_shards(names: Sequence[str]) -> Iterator[str]:
    """``x-00000-of-00003`` stands for all three, whichever of them are listed: a cache may hold only some."""
    seen = set()
    for name in names:
        match = _SHARD.match(name)
        series = (match["stem"], match["count"], match["suffix"]) if match else None
        if match is None or series is None:
            yield name
        elif series not in seen:
            seen.add(series)
            for number in range(int(match["count"])):
                yield f"{match['stem']}-{number:05}-of-{match['count']}{match['suffix']}"
