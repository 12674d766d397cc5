"""Who this process is and which Python it runs in."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from llenergymeasure.clock import boot_id, namespace_inode
from llenergymeasure.model.job import PROTOCOL_VERSION
from llenergymeasure.model.machine import Interpreter, ProcessIdentity

# Packages whose version changes what a run does or costs.
_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "safetensors",
    "numpy",
    "xllamacpp",
    "vllm",
    "triton",
    "flash-attn",
    "bitsandbytes",
    "torchao",
)


def process_identity() -> ProcessIdentity:
    """The ``hello`` of this process."""
    return ProcessIdentity(
        protocol_version=PROTOCOL_VERSION,
        pid=os.getpid(),
        pid_namespace=namespace_inode("pid"),
        boot_id=boot_id(),
        time_namespace=namespace_inode("time"),
        python_version=platform.python_version(),
    )


def package_versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Versions of those of ``packages`` that are installed here."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def process_peak_bytes() -> int | None:
    """The largest resident memory of this process so far.

    Linux's ``VmHWM`` starts anew at exec; ``ru_maxrss`` does not, and would report the parent's. macOS counts it in bytes.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def interpreter() -> Interpreter:
    """This interpreter."""
    return Interpreter(platform.python_version(), platform.python_implementation(), package_versions())
