"""Caps and clocks while a trial lasts: the driver's side of the process that holds them."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence

from llenergymeasure.errors import LLEMError
from llenergymeasure.model.codec import CodecError, to_line
from llenergymeasure.model.event import Event, EventLog, PowerRefused, PowerRestored, PowerSet, parse_event
from llenergymeasure.model.job import PowerKnobs

_HOLDER = (sys.executable, "-m", "llenergymeasure.trial.power")
# A driver that initialises its boards first answers within seconds.
_PATIENCE_S = 60.0
_NOT_TOLD = PowerRestored(
    ("the process that held caps and clocks ended, or hangs, before it said that they were taken back",)
)


class PowerNotSet(LLEMError):
    """The trial's caps and clocks could not be set; nothing is left changed."""


@contextlib.contextmanager
def held_power(knobs: PowerKnobs | None, log: EventLog, command: Sequence[str] = _HOLDER) -> Iterator[frozenset[int]]:
    """Set caps and clocks for the block, and log what was set and taken back; the pids are those that must live until then.

    Raises ``PowerNotSet`` before the block. ``command`` starts the process that holds them; it gets the knobs as an argument.
    """
    if knobs is None:
        yield frozenset()
        return
    # A session of its own: what ends the trial's processes must not end this one. Nor is it killed when it does not answer: it
    # may have changed something already, and takes it back when the board lets it.
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, to_line(knobs)], stdin=pipe, stdout=pipe, start_new_session=True) as holder:
        answer = _next(holder)
        if isinstance(answer, PowerRefused):
            raise PowerNotSet(answer.message, hint=answer.hint)
        if not isinstance(answer, PowerSet):
            raise PowerNotSet("the process that sets power caps and clocks did not answer", hint="read driver.log")
        log.write(answer)
        try:
            yield frozenset({holder.pid})
        finally:
            assert holder.stdin is not None
            holder.stdin.close()
            restored = _next(holder)
            log.write(restored if isinstance(restored, PowerRestored) else _NOT_TOLD)


def holds_power(command: Sequence[str]) -> bool:
    """Whether a process with this command line holds caps and clocks: it ends by itself when it has taken them back."""
    return _HOLDER[-1] in command


def _next(holder: subprocess.Popen[bytes]) -> Event | None:
    """The next event that the holder writes; ``None`` when none comes."""
    assert holder.stdout is not None
    ready, _, _ = select.select([holder.stdout], [], [], _PATIENCE_S)
    line = holder.stdout.readline() if ready else b""
    try:
        return parse_event(line.decode()) if line else None
    except CodecError:
        return None
