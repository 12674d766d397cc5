"""``base``: an experiment file that a study is laid over."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llenergymeasure.config.nested import deep_merge, set_at, value_at
from llenergymeasure.config.problems import Problem, config_error, did_you_mean, short
from llenergymeasure.config.yaml_strict import Document, load_yaml

# Where an experiment may name a file, which is meant relative to the file that names it.
_PATHS = ("model", "dataset", "dataset.path", "decoder.draft_model", "lora.adapter_path")

_REMEDY = {"base": "write it all into one file: a base has no base of its own"}


@dataclass(frozen=True, slots=True)
class BaseFile:
    """The base of a study: its name as the study writes it, and its text."""

    name: str
    text: str


def with_base(document: Document, study_keys: tuple[str, ...]) -> Document:
    """The document merged over its base, whose lines it knows; unchanged without one.

    Relative paths of the base are rewritten so that they start at the folder of the study. Raises ``ConfigError`` for a base
    that cannot be read or is no experiment, naming the file and the line.
    """
    if document.base is not None or document.data.get("base") is None:
        return document
    base = _load(document)
    wrong = [
        Problem(
            (key,), f"{key!r} makes this a study, and a base is an experiment", _REMEDY.get(key, "move it to the study")
        )
        for key in base.data
        if key in study_keys or (key == "backend" and isinstance(base.data[key], list))
    ]
    if wrong:
        raise config_error(wrong, base)
    data = deep_merge(_moved(base.data, base.path.parent, document.path.parent), document.data)
    return replace(document, data=data, base=base)


def base_file(document: Document) -> BaseFile | None:
    """What is to be kept of a document's base."""
    return None if document.base is None else BaseFile(str(document.data["base"]), document.base.text)


def _load(document: Document) -> Document:
    name = document.data["base"]
    if not isinstance(name, str) or not name:
        raise config_error([Problem(("base",), f"should be the path of a file, found {short(name)}")], document)
    path = document.path.parent / name
    if not path.is_file():
        beside = {file.name for file in _folder(path) if file.suffix in (".yaml", ".yml")} - {document.path.name}
        close = did_you_mean(path.name, sorted(beside))
        hint = close if close.startswith("did") else "write its path, from the folder of this file"
        raise config_error([Problem(("base",), f"there is no file {short(name)}", hint)], document)
    return load_yaml(path)


def _folder(path: Path) -> Iterator[Path]:
    try:
        yield from path.parent.iterdir()
    except (OSError, ValueError):
        return


def _moved(data: Mapping[str, Any], home: Path, to: Path) -> Mapping[str, Any]:
    """The data with relative paths of files that are there, written as seen from ``to``."""
    if os.path.abspath(home) == os.path.abspath(to):
        return data
    moved = copy.deepcopy(dict(data))
    for key in _PATHS:
        value = value_at(moved, key)
        if isinstance(value, str) and _is_file_there(key, value, home):
            relative = os.path.relpath(home / value, to)
            set_at(moved, key, relative if relative.startswith("..") else f"./{relative}")
    return moved


def _is_file_there(key: str, value: str, home: Path) -> bool:
    """Whether a value means a file or folder beside the base. A dataset's plain name is that of a dataset first."""
    if not value or os.path.isabs(value) or (key == "dataset" and not Path(value).suffix and not value.startswith(".")):
        return False
    return os.path.exists(home / value)
