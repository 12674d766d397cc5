"""How closely does the meter see a sensor's ticks, and what does that cost? Ours beside plain reads at 50 Hz, in real time."""

from __future__ import annotations

import itertools
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.record import Row, Section

_LENGTH_S = 25.0
# In the first second ticks are looked for: it counts in the cost, its brackets do not.
_STEADY_NS = int((_LENGTH_S - 1) * 1e9)
# What is demanded, by the tick in ms; at 50 ms, between the two that are, that of the faster.
_MOST_CPU = {100: 0.01, 50: 0.03, 20: 0.03}


def run() -> Section:
    """One virtual board: energy counter and instant power on the same ticks, mean power at 10 Hz, five slow channels."""
    rows = tuple(_row(tick_ms) for tick_ms in _MOST_CPU)
    return Section(
        "Ticks and the meter's own cost",
        "python -m benchmarks.run meter",
        f"A board whose counter and instant power tick together, with a jitter of 1 ms (standard deviation), and whose calls take no time of their own; beside them mean power at 10 Hz and five slow channels. The meter's own loop, files and threads for {_LENGTH_S:.0f} s on the real clock, in a process of its own that has priority where it may (root), the first second included, in which ticks are looked for. Bracket: time between the last read before a tick of the counter and the read that saw it, p50 / p95 / largest. CPU: of the whole process.",
        ("tick", "ours: bracket ms; CPU", "plain 50 Hz: bracket ms; CPU", "ticks seen", "met"),
        rows,
    )


def _row(tick_ms: int) -> Row:
    ours, plain = (_measured(tick_ms, cap_hz) for cap_hz in (None, 50.0))
    most = _MOST_CPU[tick_ms]
    met = ours["cpu"] < most and ours["p95"] <= 2.0
    wish = f"{'yes' if met else '**no**'} (p95 ≤ 2 ms, < {100 * most:.0f} % of a core)"
    return Row(f"{tick_ms} ms", _cell(ours), _cell(plain), f"{ours['seen']:.0%} / {plain['seen']:.0%}", wish)


def _cell(found: dict[str, float]) -> str:
    return f"{found['p50']:.2f} / {found['p95']:.2f} / {found['most']:.1f}; {100 * found['cpu']:.2f} %"


def _measured(tick_ms: int, cap_hz: float | None) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.meter", str(tick_ms), str(cap_hz or "")]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


class _Board:
    """Ticks as a real one would, on the monotonic clock."""

    def __init__(self, tick_ms: int) -> None:
        self._tick_ns = tick_ms * 1_000_000
        chance = random.Random(tick_ms)
        jitter_ns = min(1e6, self._tick_ns / 20)
        origin_ns = time.monotonic_ns() - 2 * self._tick_ns
        count = int((_LENGTH_S + 10) * 1000 / tick_ms)
        self.ticks_ns = [
            origin_ns + number * self._tick_ns + round(chance.gauss(0, jitter_ns)) for number in range(count)
        ]
        self._place = 0
        self._lock = threading.Lock()

    def read(self, channels):
        from llenergymeasure.model.reading import Reading

        readings = []
        for channel in channels:
            began_ns = time.monotonic_ns()
            with self._lock:
                while self.ticks_ns[self._place + 1] <= began_ns:
                    self._place += 1
                value = float(self._place)
            t_ns = time.monotonic_ns()
            readings.append(Reading(t_ns, t_ns - began_ns, channel.id, value))
        return readings

    def close(self) -> None: ...


def _child(tick_ms: int, cap_hz: float | None) -> dict[str, float]:
    from llenergymeasure.clock import WokenClock
    from llenergymeasure.energy.guarded import Guarded
    from llenergymeasure.energy.select import Reads, Selection
    from llenergymeasure.meter.__main__ import be_prompt, meter
    from llenergymeasure.meter.binary import ReadingsWriter, read_readings
    from llenergymeasure.model.event import EventLog, MeterCost, read_events
    from llenergymeasure.model.reading import Channel

    kinds = [("counter", 50.0), ("power_instant", 50.0), ("power_mean", 10.0), *[("temperature", 1.0)] * 5]
    channels = tuple(
        Channel(number, "board", "gpu", "GPU-1", "a board", kind, "", rate_hz)
        for number, (kind, rate_hz) in enumerate(kinds)
    )
    be_prompt()
    board, clock = _Board(tick_ms), WokenClock()
    with tempfile.TemporaryDirectory() as folder:
        sink, log = ReadingsWriter(Path(folder) / "readings.bin"), EventLog.append_to(Path(folder) / "meter.jsonl")
        end_ns = clock.now_ns() + int(_LENGTH_S * 1e9)
        meter(
            Selection((), (Reads(Guarded("board", board, clock), channels),)),
            cap_hz,
            sink,
            log,
            clock,
            lambda: clock.now_ns() >= end_ns,
        )
        sink.close()
        log.close()
        readings = read_readings(Path(folder) / "readings.bin")
        counter = [reading for reading in readings if reading.channel == 0 and reading.t_ns > end_ns - _STEADY_NS]
        (cost,) = (event for event in read_events(Path(folder) / "meter.jsonl") if isinstance(event, MeterCost))
    brackets = sorted(
        (later.t_ns - earlier.t_ns) / 1e6
        for earlier, later in itertools.pairwise(counter)
        if later.value != earlier.value
    )
    ticks = sum(counter[0].t_ns < t_ns <= counter[-1].t_ns for t_ns in board.ticks_ns)
    return {
        "p50": brackets[len(brackets) // 2],
        "p95": brackets[math.ceil(0.95 * len(brackets)) - 1],
        "most": brackets[-1],
        "cpu": cost.cpu_s / cost.wall_s,
        "seen": len(brackets) / ticks,
    }


if __name__ == "__main__":
    print(json.dumps(_child(int(sys.argv[1]), float(sys.argv[2]) if sys.argv[2] else None)))
