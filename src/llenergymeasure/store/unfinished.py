"""Studies that were begun and not ended."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock, Timeout

from llenergymeasure.store.layout import LOCK, MANIFEST, SUMMARY


def unfinished_studies(results_dir: Path) -> tuple[Path, ...]:
    """Folders with a plan whose study was killed or stopped before its end, and that nobody is running now."""
    if not results_dir.is_dir():
        return ()
    folders = sorted(manifest.parent for manifest in results_dir.glob(f"*/{MANIFEST}"))
    return tuple(folder for folder in folders if not _ended(folder) and not _locked(folder))


def _ended(folder: Path) -> bool:
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError):
        return True
    return not isinstance(summary, dict) or summary.get("outcome") not in ("interrupted", "limit")


def _locked(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK).acquire(timeout=0):
            return False
    except (Timeout, OSError):
        return True
