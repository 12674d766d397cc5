"""Zeus and CodeCarbon in an environment of their own, and the programs in which each measures given windows as its users do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ZEUS, CODECARBON = "0.16.0", "3.3.2"

# Each program is given a file of windows [[begin, end], …] in monotonic ns. It prints "ready", measures every window with one
# call at its begin and one at its end, and prints the joules of each in JSON. What it does first is not measured.
_WINDOWS = """
import json, sys, time
windows = json.load(open(sys.argv[1]))

def until(t_ns):
    time.sleep(max(0, t_ns - time.monotonic_ns()) / 1e9)

def measured(begin, end):
    joules = []
    for number, (begin_ns, end_ns) in enumerate(windows):
        until(begin_ns)
        begin(f"window {number}")
        until(end_ns)
        joules.append(end(f"window {number}"))
    print(json.dumps(joules), flush=True)
"""
_ZEUS = """
from zeus.monitor import ZeusMonitor
monitor = ZeusMonitor(gpu_indices=[0], cpu_indices=[])
def begin(name):
    monitor.begin_window(name, sync_execution=False)
def end(name):
    return monitor.end_window(name, sync_execution=False).gpu_energy[0]
begin("rehearsal"); end("rehearsal")
print("ready", flush=True)
measured(begin, end)
"""
_CODECARBON = """
from codecarbon import OfflineEmissionsTracker
tracker = OfflineEmissionsTracker(
    country_iso_code="FRA", gpu_ids=[0], save_to_file=False, log_level="critical", allow_multiple_runs=True
)
def begin(name):
    tracker.start_task(name)
def end(name):
    return 3.6e6 * tracker.stop_task(name).gpu_energy
begin("rehearsal"); end("rehearsal")
print("ready", flush=True)
measured(begin, end)
"""
# Ten times a second, all the time: power over the window by trapezoids, its edges between two polls.
_POLL = """
import bisect
import pynvml
pynvml.nvmlInit()
board = pynvml.nvmlDeviceGetHandleByIndex(0)
print("ready", flush=True)
t_ns, watts = [], []
due_ns = time.monotonic_ns()
while not t_ns or t_ns[-1] < windows[-1][1]:
    until(due_ns)
    watts.append(pynvml.nvmlDeviceGetPowerUsage(board) / 1000)
    t_ns.append(time.monotonic_ns())
    due_ns += 100_000_000

def at(edge_ns):
    after = bisect.bisect(t_ns, edge_ns)
    share = (edge_ns - t_ns[after - 1]) / (t_ns[after] - t_ns[after - 1])
    return watts[after - 1] + share * (watts[after] - watts[after - 1])

joules = []
for begin_ns, end_ns in windows:
    inside = range(bisect.bisect(t_ns, begin_ns), bisect.bisect_left(t_ns, end_ns))
    points = [(begin_ns, at(begin_ns)), *((t_ns[i], watts[i]) for i in inside), (end_ns, at(end_ns))]
    joules.append(sum((b - a) / 1e9 * (p + q) / 2 for (a, p), (b, q) in zip(points, points[1:])))
print(json.dumps(joules), flush=True)
"""
PROGRAMS = {
    f"Zeus {ZEUS}": _WINDOWS + _ZEUS,
    f"CodeCarbon {CODECARBON}": _WINDOWS + _CODECARBON,
    "10 Hz poll": _WINDOWS + _POLL,
}


def environment() -> Path:
    """The folder of their virtual environment in the user's cache, made if it is not whole. Raises where pip fails."""
    from llenergymeasure.models.cache import cache_dir

    folder = cache_dir() / "benchmarks" / f"zeus-{ZEUS}-codecarbon-{CODECARBON}"
    made = folder / ".made"
    if not made.exists():
        print(f"installing zeus {ZEUS} and codecarbon {CODECARBON} into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        requirements = [f"zeus=={ZEUS}", f"codecarbon=={CODECARBON}"]
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", *requirements]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        made.touch()
    return folder
