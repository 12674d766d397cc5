"""One study at a time on a set of devices: two of them would measure each other."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from llenergymeasure.clock import Clock
from llenergymeasure.energy.visible import Gpu as VisibleGpu
from llenergymeasure.energy.visible import visible_gpus
from llenergymeasure.errors import EnergyError, StoreError
from llenergymeasure.model.machine import Machine
from llenergymeasure.store.layout import safe

_POLL_S = 0.5


def devices_of(kinds: Iterable[str], machine: Machine, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The devices that experiments on these kinds of device may use: ``cpu``, and every GPU that this process can see.

    Where it cannot be told which GPUs are seen, all of them.
    """
    wanted = set(kinds)
    gpus = tuple(VisibleGpu(gpu.uuid, gpu.name) for gpu in machine.gpus)
    try:
        seen = visible_gpus(gpus, environment)
    except EnergyError:
        seen = tuple(gpu.device for gpu in gpus)
    return tuple(sorted((*(seen if wanted - {"cpu"} else ()), *(("cpu",) if "cpu" in wanted else ()))))


@contextmanager
def alone_on(
    devices: Iterable[str], clock: Clock, say: Callable[[str], None], folder: Path | None = None
) -> Iterator[None]:
    """Hold these devices, in one order for everybody; wait for whoever holds one, saying so. ``folder`` keeps the locks.

    Raises ``StoreError`` where no lock can be made.
    """
    place = folder or _runtime_folder()
    with ExitStack() as held:
        for device in sorted(devices):
            try:
                place.mkdir(parents=True, exist_ok=True)
                held.enter_context(_locked(place / f"{safe(device)}.lock", device, clock, say))
            except OSError as error:
                raise StoreError(f"{place}: no lock can be made: {error.strerror}", hint="--no-lock") from error
        yield


def _runtime_folder() -> Path:
    with warnings.catch_warnings():  # that the system has none, and that one below /tmp stands in, is nobody's concern
        warnings.simplefilter("ignore")
        return Path(platformdirs.user_runtime_dir("llenergymeasure", appauthor=False))


@contextmanager
def _locked(path: Path, device: str, clock: Clock, say: Callable[[str], None]) -> Iterator[None]:
    lock, told = FileLock(path), False
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if not told:
                say(f"waiting: another study of process {_holder(path)} is on {device} (--no-lock does not wait)")
                told = True
            clock.sleep(_POLL_S)
    try:
        path.with_suffix(".pid").write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.with_suffix(".pid").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
