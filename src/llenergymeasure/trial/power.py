"""``python -m llenergymeasure.trial.power KNOBS``: hold caps and clocks of GPUs until stdin ends, then take them back.

It is a process of its own so that they are taken back in every end: when the driver is done with it or dies in any way, the
system closes the pipe that is this process's stdin. On stdout it says, an event a line, what was set or why nothing was, and at
the end what was taken back. It keeps NVML open: a driver that nobody uses may unload and forget the cap.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any

from llenergymeasure.machine.power import PowerError, PowerSetting, open_boards, refusals
from llenergymeasure.model.codec import decode, from_line
from llenergymeasure.model.event import PowerRefused, PowerRestored, PowerSet, event_line
from llenergymeasure.model.job import PowerKnobs


def main(arguments: list[str]) -> int:
    """Hold what the first argument, a ``PowerKnobs`` as JSON, asks for."""
    # Whoever ends the trial ends it by its driver; then there is something left to do here.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    import pynvml

    knobs = decode(PowerKnobs, from_line(arguments[0]))
    return hold(knobs, pynvml, os.environ, sys.stdin, sys.stdout)


def hold(knobs: PowerKnobs, nvml: Any, environment: Mapping[str, str], until: IO[str], out: IO[str]) -> int:
    """Set, say so, wait for the end of ``until``, take back, say so. 0, or 1 when nothing was set."""
    try:
        boards = open_boards(nvml, environment)
        unfit = tuple(refusals(nvml, boards, knobs))
        if unfit:
            raise PowerError("; ".join(unfit), hint="choose a value that the board takes")
        setting = PowerSetting(nvml, boards, knobs)
        in_force = setting.apply()
    except PowerError as error:
        _say(out, event_line(PowerRefused(str(error), error.hint)))
        return 1
    _say(out, event_line(PowerSet(knobs, in_force)))
    until.read()
    _say(out, event_line(PowerRestored(setting.restore())))
    return 0


def _say(out: IO[str], line: str) -> None:
    """A driver that is gone hears nothing."""
    try:
        out.write(line)
        out.flush()
    except OSError:
        return


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
