"""Keep the accelerators, or the CPUs, busy at the times that the host asks for: a load whose sensors can be characterised."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from llenergymeasure.clock import Clock
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import decode
from llenergymeasure.model.event import EventLog, Progress, Worked
from llenergymeasure.model.folder import BUSY
from llenergymeasure.model.job import BusyJob, BusyTimes
from llenergymeasure.model.mark import Interval
from llenergymeasure.units import NS_PER_S

# The host that started this gives the times within so long, or has gone.
_PATIENCE_S = 60.0
_LOOK_S = 0.02
_CPU_BLOCK = 2**20
_GPU_SIZE = 4096

# Some work that takes about a millisecond, or less.
Turn = Callable[[], None]


def busy(job: BusyJob, folder: Path, log: EventLog, clock: Clock, stopped: Callable[[], bool]) -> None:
    """Say when it is ready, wait for the times, work in them, and say when it did."""
    turn, rest = _gpus() if job.device == "cuda" else _cpus()
    turn()
    rest()
    log.write(Progress("ready"))
    waited_s = 0.0
    while not (folder / BUSY).exists():
        if stopped() or waited_s > _PATIENCE_S:
            return
        clock.sleep(_LOOK_S)
        waited_s += _LOOK_S
    times = decode(BusyTimes, json.loads((folder / BUSY).read_text(encoding="utf-8")))
    log.write(Worked(tuple(_work(one, turn, rest, clock) for one in times.at)))


def _work(one: Interval, turn: Turn, rest: Turn, clock: Clock) -> Interval:
    """Work through one interval; the time from the first turn to the end of the last."""
    clock.sleep(max(one.begin_ns - clock.now_ns(), 0) / NS_PER_S)
    begin_ns = clock.now_ns()
    while clock.now_ns() < one.end_ns:
        turn()
    rest()
    return Interval(begin_ns, clock.now_ns())


def _gpus() -> tuple[Turn, Turn]:
    """Matrix products on every GPU that CUDA shows. Raises ``BackendError`` where PyTorch cannot use one."""
    try:
        import torch
    except ImportError as error:
        raise BackendError(f"PyTorch cannot be imported: {error}", hint="pip install torch") from error
    if not torch.cuda.is_available():
        raise BackendError("PyTorch sees no GPU here")
    devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    factors = [torch.randn(_GPU_SIZE, _GPU_SIZE, dtype=torch.float16, device=device) for device in devices]

    def turn() -> None:
        products = [torch.matmul(factor, factor) for factor in factors]
        for device in devices:
            torch.cuda.synchronize(device)
        del products

    return turn, lambda: None


def _cpus() -> tuple[Turn, Turn]:
    """Hashing in a thread for each CPU but one, and in this one: it leaves the interpreter free to run the others."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    block, going = bytes(_CPU_BLOCK), threading.Event()

    def forever() -> None:
        while going.wait():
            hashlib.sha256(block).digest()

    for _ in range(count - 1):
        threading.Thread(target=forever, daemon=True).start()

    def turn() -> None:
        going.set()
        hashlib.sha256(block).digest()

    return turn, going.clear
