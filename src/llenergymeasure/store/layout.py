"""Where things lie in a results directory."""

from __future__ import annotations

import errno
import os
import re
from datetime import datetime
from pathlib import Path

from llenergymeasure.errors import StoreError

MANIFEST = "study_manifest.json"
JOURNAL = "study_journal.jsonl"
SUMMARY = "study_summary.json"
STUDY = "study.yaml"
RESULT = "result.json"
CONFIG = "config.yaml"
LOG = "llem.log"
LOCK = ".lock"
INPUTS_FOLDER = "inputs"
TRIALS_FOLDER = "trials"


def safe(name: str) -> str:
    """A name that cannot leave its folder: letters, digits, ``.``, ``_`` and ``-``, not empty, not hidden."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")
    return cleaned[:80] or "study"


def place_problem(results_dir: Path) -> str | None:
    """Why no study can be written below a directory, which need not exist yet; ``None`` when one can. Nothing is made."""
    there = next(parent for parent in (results_dir, *results_dir.absolute().parents) if os.path.lexists(parent))
    if not there.is_dir():
        return os.strerror(errno.ENOTDIR)
    if os.access(there, os.W_OK | os.X_OK):
        return None
    return os.strerror(errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES)


def new_study_folder(results_dir: Path, name: str, now: datetime) -> Path:
    """Make and return a folder ``<name>_<UTC time>`` that did not exist. Raises ``StoreError``."""
    stem = f"{safe(name)}_{now.strftime('%Y-%m-%dT%H-%M-%SZ')}"
    for suffix in ("", *(f"_{number}" for number in range(2, 100))):
        folder = results_dir / (stem + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be made: {error.strerror}", hint="choose another results directory with -o"
            ) from error
        return folder
    raise StoreError(f"{results_dir / stem}: exists a hundred times over")


def new_file(path: Path) -> Path:
    """``path``, or the first of ``<stem>_2``, ``_3`` … beside it that does not exist."""
    names = (path, *(path.with_stem(f"{path.stem}_{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def trial_folder_name(
    number: int, backend: str, concurrency: int, config_hash: str, environment: str | None, cycle: int, attempt: int
) -> str:
    """``001_pytorch_b8_d7e4c1_c1``, with the environment before the cycle, and from the second attempt on with ``_a2``."""
    where = "" if environment is None else f"_{safe(environment)}"
    name = f"{number:03d}_{safe(backend)}_b{concurrency}_{config_hash[:6]}{where}_c{cycle + 1}"
    return name if attempt == 1 else f"{name}_a{attempt}"
