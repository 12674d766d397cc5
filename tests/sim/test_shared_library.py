"""The shared library in place of the NVIDIA driver's, read by the vendor's own binding in a process of its own, in real time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pynvml
import pytest

from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.errors import LLEMError
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.testing.virtual_gpu import faults as wrong
from llenergymeasure.testing.virtual_gpu.device import Process, VirtualGpu, VirtualNvml
from llenergymeasure.testing.virtual_gpu.faults import (
    CallSpikes,
    Capped,
    CounterReset,
    Disappears,
    ForeignProcess,
    Refused,
    Stale,
    Zeros,
)
from llenergymeasure.testing.virtual_gpu.native import compile as native
from llenergymeasure.testing.virtual_gpu.native.driver import virtual_driver
from llenergymeasure.testing.virtual_gpu.presets import A100_80G, H100_SXM
from llenergymeasure.testing.virtual_gpu.sensor import Sensors
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import NS_PER_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the library stands for a driver under Linux")

# What is asked, of the binding or of the Python board. The reader asks over and over until an instant, and prints what it got.
ASKED = """
import json, sys, time
import pynvml as n

FIELD = (n.NVML_FI_DEV_POWER_INSTANT, n.NVML_POWER_SCOPE_GPU)

def field(nvml, board):
    sample = nvml.nvmlDeviceGetFieldValues(board, [FIELD])[0]
    return [sample.nvmlReturn, sample.timestamp, sample.value.uiVal] if sample.nvmlReturn == 0 else [sample.nvmlReturn]

def processes(nvml, board):
    return [[one.pid, one.usedGpuMemory] for one in nvml.nvmlDeviceGetComputeRunningProcesses(board)]

ASKED = {
    "counter": lambda nvml, board: nvml.nvmlDeviceGetTotalEnergyConsumption(board),
    "usage": lambda nvml, board: nvml.nvmlDeviceGetPowerUsage(board),
    "instant": field,
    "processes": processes,
    "mig": lambda nvml, board: nvml.nvmlDeviceGetMigMode(board),
    "memory": lambda nvml, board: nvml.nvmlDeviceGetMemoryInfo(board).used,
    "limit": lambda nvml, board: nvml.nvmlDeviceGetEnforcedPowerLimit(board),
    "busy": lambda nvml, board: nvml.nvmlDeviceGetUtilizationRates(board).gpu,
    "clock": lambda nvml, board: nvml.nvmlDeviceGetClockInfo(board, n.NVML_CLOCK_SM),
    "reasons": lambda nvml, board: nvml.nvmlDeviceGetCurrentClocksEventReasons(board),
}

def answer(nvml, board, what):
    try:
        return ASKED[what](nvml, board)
    except n.NVMLError as error:
        return {"error": error.value}
"""

READ = (
    ASKED
    + """
n.nvmlInit()
boards = [n.nvmlDeviceGetHandleByIndex(index) for index in range(n.nvmlDeviceGetCount())]
rows = []
while time.monotonic_ns() < int(sys.argv[1]):
    for index, board in enumerate(boards):
        for what in ASKED:
            before = time.monotonic_ns()
            found = answer(n, board, what)
            rows.append((index, what, before, time.monotonic_ns(), found))
    time.sleep(0.02)
print(json.dumps(rows))
"""
)


def run(driver, code, *arguments):
    """What a program of this interpreter prints where the library stands for the driver, as JSON."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=driver.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def board(begin_ns, preset=H100_SXM, number=1, **more):
    """Idle, two seconds of decoding, idle."""
    phases = [preset.idle(0.5), preset.decode(1.5, 0.03), preset.idle(5.0)]
    more.setdefault("sensors", preset.sensors())
    work = Workload.of(begin_ns, phases, preset.thermal)
    return VirtualGpu(preset, work, uuid=f"GPU-00000000-0000-0000-0000-00000000000{number}", **more)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """(boards, when they began, what a second and a half of reading gave): healthy ones and what energy.md lists as faults."""
    begin_ns = time.monotonic_ns() + NS_PER_S // 2

    def at(seconds):
        return begin_ns + round(seconds * NS_PER_S)

    board_faults = (
        (),
        (CounterReset(at(1.0)), Zeros(wrong.USAGE, at(0.7), at(0.9)), Stale(wrong.INSTANT, at(0.8), at(1.3))),
        (Refused(wrong.COUNTER, at(0.6), at(1.1)), Refused(wrong.INSTANT, at(0.9), at(1.2), 999)),
        (Disappears(at(0.9), at(1.4)),),
        (ForeignProcess(at(0.4), at(1.0)), Capped(at(0.8), at(1.2), 250.0)),
    )
    gpus = [board(begin_ns, number=1 + place, faults=faults) for place, faults in enumerate(board_faults)]
    gpus.append(board(begin_ns, A100_80G, 6, processes=(Process(77, 2**30),), mig=True))
    gpus.append(board(begin_ns, number=7, sensors=Sensors(None, None, H100_SXM.sensors().usage)))
    with virtual_driver(gpus, tmp_path_factory.mktemp("boards"), begin_ns=begin_ns, horizon_s=8.0) as driver:
        time.sleep(max(0, begin_ns - time.monotonic_ns()) / 1e9)
        yield gpus, begin_ns, run(driver, READ, at(1.6))


class Instant:
    """A clock that is set by hand."""

    def __init__(self, at_ns):
        self.at_ns = at_ns

    def now_ns(self):
        return self.at_ns

    def sleep(self, seconds):
        pass


def test_the_binding_reads_what_the_python_board_says(played):
    """Every answer and every error, of every board and fault, is the Python object's between the call and its return."""
    gpus, begin_ns, rows = played
    clock = Instant(begin_ns)
    nvml = VirtualNvml(clock, *gpus, horizon_s=8.0)
    boards = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(len(gpus))]
    asked: dict[str, object] = {}
    exec(ASKED, asked)
    assert len(rows) > 500
    for index, what, before_ns, after_ns, found in rows:
        said = []
        for clock.at_ns in (before_ns, after_ns, *range(before_ns, after_ns, NS_PER_S // 100)):
            said.append(asked["answer"](nvml, boards[index], what))
        assert found in said, (index, what, (before_ns - begin_ns) / 1e9)


def test_faults_were_seen(played):
    """The run above met a reset, zeros, refusals, a lost board, another's process, a cap and a missing counter."""
    _, _, rows = played
    seen = {(index, what, json.dumps(found)) for index, what, _, _, found in rows}
    counts = [found for index, what, _, _, found in rows if (index, what) == (1, "counter")]
    assert min(counts) == 0 < counts[0]
    assert (1, "usage", "0") in seen
    assert (2, "counter", json.dumps({"error": pynvml.NVML_ERROR_NOT_SUPPORTED})) in seen
    assert (2, "instant", "[999]") in seen
    assert (3, "memory", json.dumps({"error": pynvml.NVML_ERROR_GPU_IS_LOST})) in seen
    assert len({value for index, what, value in seen if (index, what) == (4, "processes")}) == 2
    assert len({value for index, what, value in seen if (index, what) == (4, "limit")}) == 2
    assert (5, "mig", "[1, 1]") in seen
    assert (6, "counter", json.dumps({"error": pynvml.NVML_ERROR_NOT_SUPPORTED})) in seen


SOURCE = """
import dataclasses, json
import pynvml
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.nvml import NvmlSource
from llenergymeasure.model.codec import encode
source = NvmlSource(pynvml, MonotonicClock())
channels = source.channels()
readings = source.read(channels)
source.close()
print(json.dumps([encode(channels), [int(reading.status) for reading in readings]]))
"""


def test_our_source_finds_every_channel_that_it_finds_on_the_python_board(tmp_path):
    """The same channels, described the same, each of which reads well."""
    begin_ns = time.monotonic_ns()
    gpus = [board(begin_ns), board(begin_ns, A100_80G, 2)]
    with virtual_driver(gpus, tmp_path, begin_ns=begin_ns, horizon_s=20.0) as driver:
        channels, statuses = run(driver, SOURCE)
    clock = VirtualClock()
    expected = NvmlSource(
        VirtualNvml(clock, *(board(clock.now_ns(), gpu.preset, 1 + i) for i, gpu in enumerate(gpus))), clock
    )

    def named(channel):
        return (
            channel["device"],
            channel["device_name"],
            channel["domain"],
            channel["kind"],
            channel["unit"],
            channel["detail"],
        )

    fields = ("device", "device_name", "domain", "kind", "unit", "detail")
    here = [tuple(getattr(channel, field) for field in fields) for channel in expected.channels()]
    assert [named(channel) for channel in channels] == here
    assert {channel["kind"] for channel in channels} >= {"counter", "power_instant", "power_mean", "temperature"}
    assert not any(statuses)


SETTINGS = """
import json, sys
import pynvml as n

def tried(call, *arguments):
    try:
        return call(*arguments)
    except n.NVMLError as error:
        return error.value

n.nvmlInit()
board = n.nvmlDeviceGetHandleByUUID("GPU-00000000-0000-0000-0000-000000000002")
same = n.nvmlDeviceGetHandleByPciBusId(n.nvmlDeviceGetPciInfo(board).busId)
print(json.dumps([
    n.nvmlDeviceGetIndex(same),
    tried(n.nvmlDeviceSetPowerManagementLimit, board, 300_000),
    tried(n.nvmlDeviceSetGpuLockedClocks, board, 1005, 1410),
    n.nvmlDeviceGetPowerManagementLimit(board),
    n.nvmlDeviceGetClockInfo(board, n.NVML_CLOCK_SM),
    tried(n.nvmlDeviceGetRetiredPages, board, 0),
    tried(n.nvmlDeviceGetHandleByIndex, 2),
    n.nvmlDeviceGetSupportedGraphicsClocks(board, n.nvmlDeviceGetSupportedMemoryClocks(board)[0]),
]))
"""


@pytest.mark.parametrize("may_set", [False, True])
def test_settings_are_kept_for_all_processes_or_refused(tmp_path, may_set):
    """With permission a limit and locked clocks outlive the process that set them; without, they are refused."""
    begin_ns = time.monotonic_ns()
    gpus = [board(begin_ns), board(begin_ns, number=2)]
    with virtual_driver(gpus, tmp_path, begin_ns=begin_ns, horizon_s=20.0, may_set=may_set) as driver:
        index, limit, clocks, limit_mw, clock_mhz, unknown, beyond, offered = run(driver, SETTINGS)
        kept = driver.live[1].power_limit_w, driver.live[1].locked_sm_clock_mhz
    assert (index, beyond) == (1, pynvml.NVML_ERROR_INVALID_ARGUMENT)
    assert unknown == pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    assert offered == [1980, 1386, 990]
    refused = pynvml.NVML_ERROR_NO_PERMISSION
    assert (limit, clocks) == ((None, None) if may_set else (refused, refused))
    assert (limit_mw, clock_mhz) == ((300_000, 1410) if may_set else (700_000, 1980))
    assert kept == ((300.0, 1410) if may_set else (None, None))


COUNTERS = """
import json, time
import pynvml as n
n.nvmlInit()
boards = [n.nvmlDeviceGetHandleByIndex(index) for index in (0, 1)]
def counter(board):
    return n.nvmlDeviceGetTotalEnergyConsumption(board)
while True:  # until both are read between two ticks
    counters_mj = [counter(boards[0]), counter(boards[1])]
    if counter(boards[0]) == counters_mj[0]:
        break
print(json.dumps([counters_mj, n.nvmlDeviceGetUtilizationRates(boards[0]).gpu]))
"""


def test_power_that_is_drawn_live_is_counted(tmp_path):
    """Of two boards with one scenario, the counter of the one from which more is drawn is ahead by just that."""
    begin_ns = time.monotonic_ns()
    gpus = [board(begin_ns, A100_80G), board(begin_ns, A100_80G, 2)]
    with virtual_driver(gpus, tmp_path, begin_ns=begin_ns, horizon_s=20.0) as driver:
        driver.live[0].draw(1000.0, time.monotonic_ns)
        assert run(driver, COUNTERS)[1] == 100
        driver.live[0].draw(0.0, time.monotonic_ns)
        ended_ns = time.monotonic_ns()
        drawn_j = driver.live[0].energy_j(ended_ns)
        time.sleep(0.12)  # until the counter has ticked
        (drawn_mj, other_mj), _ = run(driver, COUNTERS)
        truth_j = driver.truth_j(0, begin_ns, ended_ns) - driver.truth_j(1, begin_ns, ended_ns)
    assert drawn_j > 0
    assert truth_j == pytest.approx(drawn_j)
    assert (drawn_mj - other_mj) / 1000 == pytest.approx(drawn_j, abs=0.002)


SLOW = """
import json, time
import pynvml as n
n.nvmlInit()
board = n.nvmlDeviceGetHandleByIndex(0)
began_ns = time.monotonic_ns()
n.nvmlDeviceGetPowerUsage(board)
print(json.dumps(time.monotonic_ns() - began_ns))
"""


def test_calls_take_the_time_that_the_board_takes(tmp_path):
    """A call of a board all of whose calls are slow returns after 5 ms or more."""
    begin_ns = time.monotonic_ns()
    slow = board(begin_ns, faults=(CallSpikes(share=1.0),))
    with virtual_driver([slow], tmp_path, begin_ns=begin_ns, horizon_s=20.0) as driver:
        assert run(driver, SLOW) >= 5_000_000


def test_nothing_is_played_before_or_after_its_time(tmp_path):
    """A board that was not played for this instant answers with an error, and a driver without boards does not load."""
    begin_ns = time.monotonic_ns() - 10 * NS_PER_S
    code = """
import json
import pynvml as n
def code(call, *arguments):
    try:
        call(*arguments)
    except n.NVMLError as error:
        return error.value
print(json.dumps([code(n.nvmlInit), code(n.nvmlDeviceGetHandleByIndex, 0)]))
"""
    with virtual_driver([board(begin_ns)], tmp_path, begin_ns=begin_ns, horizon_s=5.0) as driver:
        assert run(driver, code) == [None, pynvml.NVML_ERROR_UNKNOWN]
        (tmp_path / "boards.bin").unlink()
        assert run(driver, code) == [pynvml.NVML_ERROR_DRIVER_NOT_LOADED, pynvml.NVML_ERROR_UNINITIALIZED]


def test_the_library_compiles_once_for_its_source(tmp_path):
    """A folder with the library alone, the same at the second call."""
    folder = native.library(tmp_path)
    assert [path.name for path in folder.iterdir()] == [native.LIBRARY]
    made_ns = (folder / native.LIBRARY).stat().st_mtime_ns
    native.library.cache_clear()
    assert (native.library(tmp_path) / native.LIBRARY).stat().st_mtime_ns == made_ns


def test_without_a_compiler_it_is_said_what_to_install(monkeypatch):
    """The system's compiler, else the package's, else an error that names both."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(native.importlib.util, "find_spec", lambda name: object())
    assert native.compiler() == (sys.executable, "-m", "ziglang", "cc")
    monkeypatch.setattr(native.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LLEMError, match="no C compiler") as caught:
        native.compiler()
    assert "pip install ziglang" in caught.value.hint
