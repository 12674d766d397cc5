"""Where a file stands in its git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

from llenergymeasure.model.machine import GitState

_TIMEOUT_S = 5.0


def git_state(file: Path) -> GitState | None:
    """The commit around ``file`` and whether it differs; ``None`` without git, a repository, or a first commit."""
    commit = _git(file, "rev-parse", "HEAD")
    changes = _git(file, "status", "--porcelain", "--", file.name)
    return None if commit is None or changes is None else GitState(commit.strip(), bool(changes))


def _git(file: Path, *arguments: str) -> str | None:
    """What git prints in the folder of ``file``; ``None`` when it fails. No lock is taken: others may be using the repository."""
    command = ["git", "--no-optional-locks", "-C", str(file.parent), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
