"""Makes ``libnvidia-ml.so.1`` from our C source, once for each version of it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from llenergymeasure.errors import LLEMError
from llenergymeasure.models.cache import cache_dir

LIBRARY = "libnvidia-ml.so.1"
_SOURCES = tuple(Path(__file__).with_name(name) for name in ("nvml.c", "player.h"))
_FLAGS = ("-O1", "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")
_COMPILERS = ("cc", "gcc", "clang")


@cache
def library(cache_folder: Path | None = None) -> Path:
    """The folder that holds the compiled library and nothing else; in the user's cache if not told otherwise.

    Raises ``LLEMError`` where there is no compiler, or with what it says.
    """
    made_of = [" ".join(_FLAGS).encode(), *(path.read_bytes() for path in _SOURCES)]
    folder = (cache_folder or cache_dir() / "virtual-gpu") / hashlib.sha256(b"".join(made_of)).hexdigest()[:16]
    if not (folder / LIBRARY).exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Several tests may compile at once: whoever ends last replaces the same bytes.
        made = folder / f".{os.getpid()}.so"
        _run([*compiler(), *_FLAGS, "-o", str(made), str(_SOURCES[0])])
        made.replace(folder / LIBRARY)
    return folder


def compiler() -> Sequence[str]:
    """The command of a C compiler: the system's, else that of the package ``ziglang``. Raises ``LLEMError`` for neither."""
    for name in _COMPILERS:
        if found := shutil.which(name):
            return (found,)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise LLEMError(
        "the virtual GPU's driver library is made from C, and there is no C compiler here",
        hint=f"install one ({', '.join(_COMPILERS)}), or: pip install ziglang",
    )


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LLEMError(f"the virtual GPU's driver library does not compile:\n{done.stderr[-3000:]}")
