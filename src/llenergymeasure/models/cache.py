"""Where this program keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path


def use_hub_cache(folder: str | None) -> None:
    """Let this process and its workers keep the hub's files in ``folder``; an ``HF_HOME`` that is set wins."""
    if folder is not None:
        os.environ.setdefault("HF_HOME", str(Path(folder).expanduser().resolve()))


def cache_dir() -> Path:
    """The user's cache folder of this program; ``LLEM_CACHE_DIR`` moves it (for tests and shared machines)."""
    moved = os.environ.get("LLEM_CACHE_DIR")
    if moved:
        return Path(moved).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("llenergymeasure", appauthor=False))
