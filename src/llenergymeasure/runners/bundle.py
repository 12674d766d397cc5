"""The worker bundle: a directory with just the worker world's modules, to put on ``PYTHONPATH`` beside any engine.

The package's own ``site-packages`` must never be on the worker's path: it would shadow the engine's numpy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import llenergymeasure
from llenergymeasure.models.cache import cache_dir

# The worker world, relative to the package: files, and folders whose Python files are taken.
_FILES = (
    "__init__.py",
    "_version.py",
    "clock.py",
    "errors.py",
    "plugins.py",
    "units.py",
    "testing/__init__.py",
    "testing/live_power.py",
    "testing/mapped_backend.py",
    "testing/simulated_backend.py",
)
_FOLDERS = ("backends", "model", "worker")


def bundle() -> Path:
    """The bundle of this version's code; made on first use, named by the digest of what it holds."""
    package = Path(llenergymeasure.__file__).parent
    sources = {name: (package / name).read_bytes() for name in _FILES}
    for folder in _FOLDERS:
        for path in sorted((package / folder).rglob("*.py")):
            sources[path.relative_to(package).as_posix()] = path.read_bytes()
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(name.encode() + b"\0" + sources[name] + b"\0")
    target = cache_dir() / "worker" / digest.hexdigest()[:16]
    if not target.is_dir():
        _write(target, sources)
    return target


def _write(target: Path, sources: dict[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent))
    for name, content in sources.items():
        path = draft / "llenergymeasure" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    draft.chmod(0o755)
    try:
        os.rename(draft, target)
    except OSError:  # another process was first; both hold the same bytes
        shutil.rmtree(draft)
        if not target.is_dir():
            raise
