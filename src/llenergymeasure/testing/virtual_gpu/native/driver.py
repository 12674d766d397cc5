"""A folder in which virtual boards are played, and the environment in which processes find them in place of a driver."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure.clock import MonotonicClock
from llenergymeasure.testing.live_power import FOLDER, LivePower, live_file
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu
from llenergymeasure.testing.virtual_gpu.faults import after_all
from llenergymeasure.testing.virtual_gpu.native.compile import library
from llenergymeasure.testing.virtual_gpu.native.scenario import BOARDS, Played, write_scenario
from llenergymeasure.units import s_to_ns


@dataclass(frozen=True, slots=True)
class VirtualDriver:
    """Boards being played. ``environment`` is for the processes that shall see them: the loader reads it when one starts."""

    environment: Mapping[str, str]
    played: Played
    live: tuple[LivePower, ...]

    def truth_j(self, index: int, begin_ns: int, end_ns: int) -> float:
        """What a board really used between two instants: its scenario, in closed form, and what was drawn live."""
        gpu = self.played.gpus[index]
        scripted_j = after_all(gpu.faults, gpu.work).truth_j(begin_ns, end_ns)
        return scripted_j + self.live[index].energy_j(end_ns) - self.live[index].energy_j(begin_ns)


@contextmanager
def virtual_driver(
    gpus: Sequence[VirtualGpu],
    folder: Path,
    *,
    begin_ns: int | None = None,
    horizon_s: float = 120.0,
    may_set: bool = False,
) -> Iterator[VirtualDriver]:
    """Play boards in ``folder`` from ``begin_ns`` (a monotonic instant that the boards' work knows; now, if not given).

    Raises ``LLEMError`` where the library cannot be compiled.
    """
    begin_ns = MonotonicClock().now_ns() if begin_ns is None else begin_ns
    played = Played(tuple(gpus), begin_ns, begin_ns + s_to_ns(horizon_s), may_set)
    write_scenario(folder / BOARDS, played)
    live = tuple(LivePower.create(live_file(folder, index)) for index in range(len(gpus)))
    try:
        yield VirtualDriver(_environment(folder), played, live)
    finally:
        for one in live:
            one.close()


def _environment(folder: Path) -> dict[str, str]:
    """This process's, in which the library is found first, and with it a program ``nvidia-smi``: some tools ask only for that."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    program = tools / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    program.chmod(0o755)
    return {
        **os.environ,
        FOLDER: str(folder),
        "LD_LIBRARY_PATH": _first(str(library()), os.environ.get("LD_LIBRARY_PATH")),
        "PATH": _first(str(tools), os.environ.get("PATH")),
    }


def _first(place: str, others: str | None) -> str:
    return place if not others else f"{place}{os.pathsep}{others}"
