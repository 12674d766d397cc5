"""Who measures a window best in real time? Our meter, Zeus, CodeCarbon and a plain poll, all at once on one virtual board."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peer_tools import PROGRAMS, environment
from benchmarks.record import Row, Section
from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.meter.binary import read_readings
from llenergymeasure.model.event import Metered, read_events
from llenergymeasure.model.folder import JOB, METER_EVENTS, METER_LOG, METER_READINGS
from llenergymeasure.model.job import Metering, MeterJob, job_text
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Readout
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu
from llenergymeasure.testing.virtual_gpu.native.driver import VirtualDriver, virtual_driver
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.workload import LoadPhase, Workload
from llenergymeasure.units import ns_to_s, s_to_ns

# How many windows of each length in s; energy.md's demands on a counter at that length: |bias|, 95th percentile in %.
PHASES = {0.1: 20, 1.0: 20, 10.0: 20, 60.0: 3}
_DEMANDS = {0.1: (0.2, 2.0), 1.0: (0.05, 0.3), 10.0: (0.02, 0.1), 60.0: (0.01, 0.05)}
_MAY_REFUSE_S = 0.1
_IDLE_W, _WORK_W, _TICK_S = 120.0, 500.0, 0.1
# Until everyone is ready; between windows, and a random phase more; after the last one.
_LEAD_S, _GAP_S, _PHASE_S, _TAIL_S = 25.0, 1.5, 1.0, 3.0
_SEED = 20261125
_OURS = "llem"


@dataclass(frozen=True)
class Told:
    """What one tool says of one window, and the truth. ``None``: it refuses. ``held``: its interval holds the truth."""

    length_s: float
    truth_j: float
    energy_j: float | None
    held: bool | None = None

    @property
    def error(self) -> float:
        """In percent."""
        return math.nan if self.energy_j is None else 100 * (self.energy_j / self.truth_j - 1)


def run(phases: Mapping[float, int] = PHASES) -> Section:
    """All lengths, one after the other in random order, in one run of one board."""
    python = environment() / "bin" / "python"
    chance = random.Random(_SEED)
    lengths_s = [length_s for length_s, count in phases.items() for _ in range(count)]
    chance.shuffle(lengths_s)
    with tempfile.TemporaryDirectory(prefix="llem-peers-") as name, ExitStack() as stack:
        folder = Path(name)
        begin_ns = time.monotonic_ns()
        windows, gpu, length_s = _scripted(begin_ns, lengths_s, chance)
        print(f"{len(windows)} windows in {length_s:.0f} s", file=sys.stderr, flush=True)
        driver = stack.enter_context(virtual_driver([gpu], folder, begin_ns=begin_ns, horizon_s=length_s + 60))
        told = _told(driver, folder, windows, python)
    names = tuple(told)
    rows = tuple(
        _row(length_s, [[one for one in told[name] if one.length_s == length_s] for name in names])
        for length_s in phases
    )
    return Section(
        "Real time, beside other tools",
        "python -m benchmarks.run peers",
        f"One virtual {gpu.preset.name} behind a shared library in place of the driver's, read by four processes at once: a tick of {1000 * _TICK_S:.0f} ms, full duty, 0.5 W of noise; {_IDLE_W:.0f} W, {_WORK_W:.0f} W for the window, {_IDLE_W:.0f} W. Zeus: `begin_window`, `end_window`; CodeCarbon: `start_task`, `stop_task`, its GPU energy; poll: `nvmlDeviceGetPowerUsage`, trapezoids. A cell: bias and 95th percentile of the error in %, of how many windows; c: how often our interval for repeatability holds the truth.",
        ("window", *names),
        rows,
    )


def _scripted(
    begin_ns: int, lengths_s: Sequence[float], chance: random.Random
) -> tuple[list[Interval], VirtualGpu, float]:
    """The windows, the board that works in them, and how long all takes."""
    windows, phases, at_s = [], [], 0.0
    for number, length_s in enumerate(lengths_s):
        rest_s = (_GAP_S if number else _LEAD_S) + chance.uniform(0, _PHASE_S)
        phases += [LoadPhase(rest_s, _IDLE_W), LoadPhase(length_s, _WORK_W)]
        at_s += rest_s
        windows.append(Interval(begin_ns + s_to_ns(at_s), begin_ns + s_to_ns(at_s + length_s)))
        at_s += length_s
    work = Workload.of(begin_ns, [*phases, LoadPhase(_TAIL_S, _IDLE_W)])
    return windows, VirtualGpu(H100_SXM, work, H100_SXM.sensors(_TICK_S, seed=_SEED)), at_s + _TAIL_S


def _told(driver: VirtualDriver, folder: Path, windows: list[Interval], python: Path) -> dict[str, list[Told]]:
    """What each tool says of each window; all measure at the same time."""
    asked = folder / "windows.json"
    asked.write_text(json.dumps([[one.begin_ns, one.end_ns] for one in windows]), encoding="utf-8")
    meter = _start_meter(driver, folder)
    tools = {
        name: subprocess.Popen(
            [str(python), "-c", program, str(asked)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(driver.environment),
            text=True,
        )
        for name, program in PROGRAMS.items()
    }
    try:
        late = [name for name, tool in tools.items() if not _is_ready(tool)]
        if late or time.monotonic_ns() > windows[0].begin_ns:
            raise RuntimeError(f"not ready before the first window: {', '.join(late) or 'all in all'}")
        said = {name: tool.communicate(timeout=3600)[0] for name, tool in tools.items()}
        time.sleep(max(0.0, ns_to_s(windows[-1].end_ns - time.monotonic_ns()) + _TAIL_S - 1))
    finally:
        for process in (meter, *tools.values()):
            process.send_signal(signal.SIGTERM)
            process.wait()
    truths = [driver.truth_j(0, one.begin_ns, one.end_ns) for one in windows]
    board = driver.played.gpus[0].uuid
    told = {_OURS: [_ours(folder, board, one, truth_j) for one, truth_j in zip(windows, truths, strict=True)]}
    for name, text in said.items():
        answers = zip(windows, truths, json.loads(text.splitlines()[-1]), strict=True)
        told[name] = [Told(round(one.duration_s, 3), truth_j, energy_j) for one, truth_j, energy_j in answers]
    return told


def _is_ready(tool: subprocess.Popen[str]) -> bool:
    """Wait until a tool says so; libraries may print before it does. False when it ends instead."""
    assert tool.stdout is not None
    return any(line.strip() == "ready" for line in tool.stdout)


def _start_meter(driver: VirtualDriver, folder: Path) -> subprocess.Popen[bytes]:
    """Our meter process, as a trial starts it."""
    (folder / JOB).write_text(job_text(MeterJob(Metering(("nvml",)))), encoding="utf-8")
    command = [sys.executable, "-m", "llenergymeasure.meter", str(folder), str(os.getpid())]
    with open(folder / METER_LOG, "ab") as log:
        return subprocess.Popen(command, env=dict(driver.environment), stdout=log, stderr=log)


def _ours(folder: Path, board: str, window: Interval, truth_j: float) -> Told:
    metered = next((event for event in read_events(folder / METER_EVENTS) if isinstance(event, Metered)), None)
    if metered is None:
        raise RuntimeError(f"the meter did not start: {(folder / METER_LOG).read_text(errors='replace')[-2000:]}")
    readout = Readout(metered.channels, metered.verdicts, read_readings(folder / METER_READINGS), (board,))
    total: Quantity = energy_of_window(readout, window).total_j
    interval = total.repeatability_95
    held = None if interval is None else interval.low <= truth_j <= interval.high
    return Told(round(window.duration_s, 3), truth_j, total.value, held)


def _row(length_s: float, told: list[list[Told]]) -> Row:
    ours, *others = told
    bias, p95 = _DEMANDS[length_s]
    wish = f"{bias:g} / {p95:g}" + (" or refused" if length_s <= _MAY_REFUSE_S else "")
    cells = [f"{_cell(ours)}: {'met' if _met(length_s, ours) else '**not met**'} ({wish})", *map(_cell, others)]
    return Row(f"{length_s:g} s", *cells)


def _cell(told: Sequence[Told]) -> str:
    answered = [one for one in told if one.energy_j is not None]
    refused = len(told) - len(answered)
    if not answered:
        return f"refused, of {len(told)}"
    bias, p95 = _bias_and_p95(answered)
    holding = [one.held for one in answered if one.held is not None]
    return (
        f"{bias:+.3f} / {p95:.3f}, of {len(told)}"
        + (f", {refused} refused" if refused else "")
        + (f", c {sum(holding) / len(holding):.0%}" if holding else "")
    )


def _bias_and_p95(told: Sequence[Told]) -> tuple[float, float]:
    errors = [one.error for one in told]
    return float(np.mean(errors)), float(np.percentile(np.abs(errors), 95))


def _met(length_s: float, told: Sequence[Told]) -> bool:
    answered = [one for one in told if one.energy_j is not None]
    if len(answered) < len(told):
        return length_s <= _MAY_REFUSE_S and not answered
    bias, p95 = _bias_and_p95(answered)
    return abs(bias) <= _DEMANDS[length_s][0] and p95 <= _DEMANDS[length_s][1]
