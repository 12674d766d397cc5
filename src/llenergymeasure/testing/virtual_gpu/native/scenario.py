"""Records what virtual boards answer, for the shared library to play in real time.

There is one implementation: the Python board (``VirtualNvml``) is asked everything beforehand, at every instant at which an
answer may change. What it says, or the error that it raises, is written with the instant, and the library looks it up.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pynvml

from llenergymeasure.testing.virtual_gpu.device import VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import CallSpikes, after_all
from llenergymeasure.testing.virtual_gpu.native.questions import LIVE_USE, Question, questions
from llenergymeasure.testing.virtual_gpu.workload import Ints
from llenergymeasure.units import NS_PER_S, s_to_ns

BOARDS = "boards.bin"
_MAGIC = b"llem boards 1"
# The structures of ``player.h``.
_HEAD, _BOARD = struct.Struct("=16s7q32s"), struct.Struct("=96s96s32s32s9q")
_SERIES, _PROCESS = struct.Struct("=64s6q"), struct.Struct("=2q")
_MOST_BOARDS = 16
# What changes steadily (temperature, throttled time) is recorded so often.
_STEADY_NS = NS_PER_S // 4
# A board is called busy when it worked in the last moments.
_BUSY_NS = NS_PER_S // 10
# The lowest limit that a board takes, as a share of its highest.
_LEAST_LIMIT = 0.3

Entry = tuple[int, int, int, int, int]
"""From when it stands (ns), the tick at which it was sampled (ns), the time of day of that (µs), the value, the error code."""


class _Instant:
    """A clock that is set by hand. Calls take no time on it: the library lets them take theirs."""

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns

    def now_ns(self) -> int:
        return self.at_ns

    def sleep(self, seconds: float) -> None:
        """Stand still."""


@dataclass(frozen=True, slots=True)
class Played:
    """What is to be played: boards that are all there at ``begin_ns`` (monotonic), until ``end_ns``.

    After the end every answer is an error. ``may_set``: whether limits and clocks may be set, as by root.
    """

    gpus: Sequence[VirtualGpu]
    begin_ns: int
    end_ns: int
    may_set: bool = False


def write_scenario(path: Path, played: Played) -> None:
    """Write the file that the library reads. Raises ``ValueError`` for more boards than it takes."""
    if len(played.gpus) > _MOST_BOARDS:
        raise ValueError(f"at most {_MOST_BOARDS} boards are played at once")
    clock = _Instant(played.begin_ns)
    nvml = VirtualNvml(clock, *played.gpus, horizon_s=(played.end_ns - played.begin_ns) / NS_PER_S)
    boards: list[bytes] = []
    series: list[bytes] = []
    processes: list[bytes] = []
    entries: list[Entry] = []
    for index, gpu in enumerate(played.gpus):
        clock.at_ns = played.begin_ns
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        first_series, first_process = len(series), len(processes)
        for question in questions(gpu, index):
            recorded = list(_recorded(nvml, clock, handle, question, _times(played, gpu, question)))
            if recorded:
                series.append(_series_bytes(question, len(entries), len(recorded)))
                entries += recorded
        processes += [_PROCESS.pack(one.pid, one.usedGpuMemory) for one in _longest(nvml, clock, handle, played, gpu)]
        boards.append(_board_bytes(index, gpu, first_series, len(series) - first_series, first_process))
    head = _HEAD.pack(
        _MAGIC,
        played.begin_ns,
        played.end_ns,
        len(boards),
        len(series),
        len(processes),
        len(entries),
        played.may_set,
        nvml.nvmlSystemGetDriverVersion().encode(),
    )
    table = np.array(entries, dtype=np.int64).tobytes()
    path.write_bytes(b"".join([head, *boards, *series, *processes, table]))


@dataclass(frozen=True, slots=True)
class _Times:
    """The instants at which an answer may change; of those, the ticks of its sensor."""

    all_ns: Ints
    ticks_ns: Ints


def _times(played: Played, gpu: VirtualGpu, question: Question) -> _Times:
    ticks_ns = steady_ns = np.zeros(0, dtype=np.int64)
    if question.sensor is not None:
        truth = after_all(gpu.faults, gpu.work)
        ticks_ns = question.sensor.power(truth, played.begin_ns, played.end_ns).t_ns
    elif not question.fixed:
        steady_ns = np.arange(played.begin_ns, played.end_ns, _STEADY_NS, dtype=np.int64)
    begin_ns = np.array([played.begin_ns, *_edges_ns(gpu)], dtype=np.int64)
    all_ns = np.unique(np.concatenate([begin_ns, ticks_ns, steady_ns]))
    return _Times(all_ns[(all_ns >= played.begin_ns) & (all_ns < played.end_ns)], ticks_ns)


def _edges_ns(gpu: VirtualGpu) -> Iterator[int]:
    """The instants that faults name: each of their fields in nanoseconds is one."""
    for fault in gpu.faults:
        for field in dataclasses.fields(fault):  # type: ignore[arg-type]  # every fault is a dataclass
            value = getattr(fault, field.name)
            if field.name.endswith("_ns") and value is not None:
                yield value


def _recorded(nvml: VirtualNvml, clock: _Instant, handle: Any, question: Question, times: _Times) -> Iterator[Entry]:
    """One entry for each change; none for what the Python board does not have."""
    before: tuple[int, ...] = ()
    for t_ns in times.all_ns.tolist():
        clock.at_ns = t_ns
        try:
            answer = question.ask(nvml, handle)
            now = (_tick_ns(times, t_ns), answer.timestamp_us, answer.value, int(pynvml.NVML_SUCCESS))
        except pynvml.NVMLError as error:
            now = (0, 0, 0, int(error.value))
        except AttributeError:
            return
        if now != before:
            before = now
            yield t_ns, *now


def _tick_ns(times: _Times, t_ns: int) -> int:
    """The last tick before an instant; 0 where there is no sensor."""
    place = int(np.searchsorted(times.ticks_ns, t_ns, side="right"))
    return int(times.ticks_ns[place - 1]) if place else 0


def _longest(nvml: VirtualNvml, clock: _Instant, handle: Any, played: Played, gpu: VirtualGpu) -> list[Any]:
    """The longest list of processes on the board: shorter ones are its beginning."""
    longest: list[Any] = []
    for t_ns in (played.begin_ns, *_edges_ns(gpu)):
        clock.at_ns = t_ns
        try:
            longest = max(longest, nvml.nvmlDeviceGetComputeRunningProcesses(handle), key=len)
        except pynvml.NVMLError:
            continue
    return longest


def _series_bytes(question: Question, first_entry: int, count: int) -> bytes:
    sensor = question.sensor
    window_ns = s_to_ns(sensor.window_s) if sensor else _BUSY_NS if question.live == LIVE_USE else 0
    lag_ns = s_to_ns(sensor.lag_s) if sensor else 0
    name = question.function.encode()
    return _SERIES.pack(name, question.argument, question.live, window_ns, lag_ns, first_entry, count)


def _board_bytes(index: int, gpu: VirtualGpu, first_series: int, series: int, first_process: int) -> bytes:
    spikes = [fault for fault in gpu.faults if isinstance(fault, CallSpikes)]
    most_mw = round(1000 * gpu.preset.tdp_w)
    return _BOARD.pack(
        gpu.preset.name.encode(),
        gpu.uuid.encode(),
        b"%08X:%02X:00.0" % (0, index + 1),
        b"96.00.89.00.01",
        index,
        s_to_ns(gpu.call_s),
        round(1e6 * sum(fault.share for fault in spikes)),
        sum(fault.seed for fault in spikes),
        first_series,
        series,
        first_process,
        round(_LEAST_LIMIT * most_mw),
        most_mw,
    )
