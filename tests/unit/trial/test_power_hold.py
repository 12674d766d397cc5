"""Caps and clocks last as long as the trial, whoever ends it and how."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pynvml
import pytest

from llenergymeasure.model.event import (
    BoardPower,
    Event,
    EventLog,
    PowerRefused,
    PowerRestored,
    PowerSet,
    parse_event,
    read_events,
)
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble
from llenergymeasure.trial.power import hold
from llenergymeasure.trial.power_hold import PowerNotSet, held_power, holds_power

_KNOBS = PowerKnobs(cap_w=400.0, sm_clock_mhz=1410)
_GPU = "GPU-00000000-0000-0000-0000-000000000001"
_PATIENCE_S = 20.0

# The holder as it is, on a board whose state is a file: the process's last argument is the knobs, the one before the file.
_HOLDER = """
import json, sys
from llenergymeasure.model.codec import decode, from_line
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.testing.nvml_double import GpuDouble, NvmlDouble
from llenergymeasure.trial import power

class Board(GpuDouble):
    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name in ("power_limit_mw", "locked_sm_mhz") and "fails" in self.__dict__:
            open(sys.argv[1], "w").write(json.dumps([self.power_limit_mw, self.locked_sm_mhz]))

import signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
knobs = decode(PowerKnobs, from_line(sys.argv[2]))
sys.exit(power.hold(knobs, NvmlDouble(Board()), {}, sys.stdin, sys.stdout))
"""

# A driver that sets caps and then stands still.
_DRIVER = """
import io, sys
from llenergymeasure.model.event import EventLog
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.trial.power_hold import held_power

with held_power(PowerKnobs(400.0, 1410), EventLog(io.StringIO()), (sys.executable, *sys.argv[1:])) as holders:
    print(*holders, flush=True)
    sys.stdin.read()
"""


def _command(state: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", _HOLDER, str(state))


def _now(state: Path) -> list[int | None]:
    found: list[int | None] = json.loads(state.read_text(encoding="ascii"))
    return found


def _held(nvml: NvmlDouble, until: io.StringIO) -> tuple[int, list[Event | None]]:
    out = io.StringIO()
    status = hold(_KNOBS, nvml, {}, until, out)
    return status, [parse_event(line) for line in out.getvalue().splitlines()]


def test_they_are_set_until_stdin_ends() -> None:
    """While it is read the board has them; then they are taken back, and both is said."""
    gpu = GpuDouble()

    class Until(io.StringIO):
        seen: tuple[int, int | None] | None = None

        def read(self, size: int | None = -1) -> str:
            self.seen = gpu.power_limit_mw, gpu.locked_sm_mhz
            return ""

    until = Until()
    status, events = _held(NvmlDouble(gpu), until)
    assert until.seen == (400_000, 1410)
    assert (gpu.power_limit_mw, gpu.locked_sm_mhz) == (700_000, None)
    assert (status, events) == (
        0,
        [PowerSet(_KNOBS, (BoardPower(_GPU, 700.0, 400.0, 1410, None),)), PowerRestored()],
    )


def test_what_is_refused_is_said_and_not_waited_for() -> None:
    """No permission, no board, a value that the board does not take."""
    forbidden = GpuDouble(fails={"nvmlDeviceSetPowerManagementLimit": pynvml.NVML_ERROR_NO_PERMISSION})
    narrow = GpuDouble(limits_mw=(450_000, 700_000))
    for nvml, words in (
        (NvmlDouble(forbidden), "this user may not set its power limit"),
        (NvmlDouble(), "need an NVIDIA GPU"),
        (NvmlDouble(narrow), "takes 450 to 700 W, not 400"),
    ):
        status, (event,) = _held(nvml, io.StringIO())
        assert status == 1 and isinstance(event, PowerRefused) and words in event.message and event.hint


def test_a_block_is_held_by_a_process_of_its_own(tmp_path: Path) -> None:
    """The driver logs what was set and that it was taken back; the holder is named, so that nothing reaps it, and ends."""
    state, path = tmp_path / "board", tmp_path / "driver.jsonl"
    log = EventLog.append_to(path)
    with held_power(_KNOBS, log, _command(state)) as holders:
        assert _now(state) == [400_000, 1410]
        (pid,) = holders
        assert psutil.pid_exists(pid)
    log.close()
    assert _now(state) == [700_000, None] and not psutil.pid_exists(pid)
    assert [type(event) for event in read_events(path)] == [PowerSet, PowerRestored]


def test_an_error_in_the_block_takes_them_back_too(tmp_path: Path) -> None:
    """And is passed on."""
    state = tmp_path / "board"
    with pytest.raises(ZeroDivisionError), held_power(_KNOBS, EventLog(io.StringIO()), _command(state)):
        raise ZeroDivisionError
    assert _now(state) == [700_000, None]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_they_are_taken_back_when_the_driver_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    """Nobody is left to ask for it: the end of the driver is the end of the holder's stdin."""
    state = tmp_path / "board"
    command = (sys.executable, "-c", _DRIVER, *_command(state)[1:])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        holder = psutil.Process(int(driver.stdout.readline()))
        assert _now(state) == [400_000, 1410]
        driver.send_signal(number)
        driver.wait(_PATIENCE_S)
        _, alive = psutil.wait_procs([holder], timeout=_PATIENCE_S)
    assert not alive and _now(state) == [700_000, None]


def test_a_holder_that_was_killed_is_told_of(tmp_path: Path) -> None:
    """Nothing claims that caps were taken back when nobody did it."""
    path = tmp_path / "driver.jsonl"
    log = EventLog.append_to(path)
    with held_power(_KNOBS, log, _command(tmp_path / "board")) as holders:
        psutil.Process(*holders).kill()
    log.close()
    (restored,) = (event for event in read_events(path) if isinstance(event, PowerRestored))
    assert restored.problems


def test_a_holder_that_does_not_start_is_no_cap() -> None:
    """The trial is not run with other caps than it says."""
    with (
        pytest.raises(PowerNotSet, match="did not answer"),
        held_power(_KNOBS, EventLog(io.StringIO()), (sys.executable, "-c", "")),
    ):
        pytest.fail("the block must not run")


def test_without_knobs_nothing_is_started() -> None:
    """Most trials set nothing."""
    with held_power(None, EventLog(io.StringIO()), ("/does/not/exist",)) as holders:
        assert holders == frozenset()


def test_a_holder_is_known_by_its_command() -> None:
    """So that ending a trial's processes leaves it the time to take caps back."""
    assert holds_power([sys.executable, "-m", "llenergymeasure.trial.power", "{}"])
    assert not holds_power([sys.executable, "-m", "llenergymeasure.trial", "folder"])
