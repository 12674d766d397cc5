"""Who this process is and which Python it runs in."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

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
    "gguf",
    "numpy",
    "xllamacpp",
    "vllm",
    "tensorrt-llm",
    "triton",
    "flash-attn",
    "bitsandbytes",
    "torchao",
    "peft",
)

_CUDA_FOLDER = Path("/usr/local/cuda")
_NVCC_S = 5.0

# Files that a container's runtime leaves in it, in the order in which they are believed.
_CONTAINER_FILES = (
    (Path("/run/.containerenv"), "podman"),
    (Path("/.dockerenv"), "docker"),
    (Path("/.singularity.d"), "apptainer"),
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
    from importlib.metadata import PackageNotFoundError, version  # not for every process that says who it is

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


def interpreter(packages: Iterable[str] = _PACKAGES) -> Interpreter:
    """This interpreter."""
    cuda_version, cuda_source = cuda()
    return Interpreter(
        platform.python_version(),
        platform.python_implementation(),
        package_versions(packages),
        cuda_version,
        cuda_source,
        container(),
    )


def cuda(folder: Path = _CUDA_FOLDER) -> tuple[str | None, str | None]:
    """(version, what says so): of torch's build, else of the toolkit's version file in ``folder``, else of ``nvcc``."""
    found = _cuda_of_torch()
    if found:
        return found, "torch"
    found = _cuda_of_file(folder)
    if found:
        return found, "version file"
    found = _cuda_of_nvcc()
    return (found, "nvcc") if found else (None, None)


def container() -> str | None:
    """The runtime of the container that this process is in; ``None`` outside of any that leaves a trace."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    return next((runtime for file, runtime in _CONTAINER_FILES if file.exists()), None)


def _cuda_of_torch() -> str | None:
    """What torch was built for, as its own version file says: importing torch takes seconds."""
    try:
        spec = find_spec("torch")
    except ValueError:  # a module that somebody put there by hand
        return None
    if spec is None or spec.origin is None:
        return None
    return _first(r"^cuda\b[^=]*= *['\"]([\d.]+)['\"]", _text(Path(spec.origin).parent / "version.py"))


def _cuda_of_file(folder: Path) -> str | None:
    try:
        value = json.loads(_text(folder / "version.json") or "null")
        found = value["cuda"]["version"] if value is not None else None
    except (ValueError, KeyError, TypeError):
        found = None
    return found if isinstance(found, str) else _first(r"^CUDA Version ([\d.]+)", _text(folder / "version.txt"))


def _cuda_of_nvcc() -> str | None:
    import shutil
    import subprocess

    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return None
    try:
        done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, timeout=_NVCC_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return _first(r"release ([\d.]+)", done.stdout)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else None
