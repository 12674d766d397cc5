"""Engines and memory of this machine, told without starting anything."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from llenergymeasure.backends.contract import BackendSpec

_CGROUP = Path("/sys/fs/cgroup")


def installed_version(spec: BackendSpec) -> str | None:
    """The engine's version in this interpreter, by its package's metadata; ``None`` where it is not installed."""
    try:
        return version(spec.engine)
    except PackageNotFoundError:
        return None


def available_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """What a new process can take: free or reclaimable, and within the limit of the container that this process is in."""
    free = psutil.virtual_memory().available
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    return free if limit is None or used is None else max(0, min(free, limit - used))


def has_apple_gpu() -> bool:
    """Whether this is a Mac whose GPU shares the memory of its CPU."""
    import platform

    return sys.platform == "darwin" and platform.machine() == "arm64"


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such limit, or "max"
        return None
