"""A source held to its contract: what it raises or answers wrongly becomes readings that failed, and a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, OpenSource, Surroundings, Unavailable
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.model.reading import Channel, Reading, Status

Answer = TypeVar("Answer")

_REMEDY = "tell the author of the plug-in"
_WRONG_SHAPE = "it did not answer with one reading for each channel, in their order"


class Guarded:
    """A source that others wrote, behind the contract that it should keep: nothing raises, and no answer is believed blindly.

    ``broken`` is how the contract was first broken while reading, ``None`` as long as it was kept. A source that broke it once
    is read on: its readings fail for as long as it does.
    """

    def __init__(self, name: str, source: EnergySource, clock: Clock) -> None:
        self.name = name
        self._source = source
        self._clock = clock
        self.broken: str | None = None

    def channels(self) -> Sequence[Channel] | Unavailable:
        found = _asked(self._source.channels)
        if isinstance(found, _Raised):
            return Unavailable(f"asked for its channels it raised {found}", _REMEDY)
        return found

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        asked_ns = self._clock.now_ns()
        answer = _asked(lambda: self._believable(list(self._source.read(channels)), channels, asked_ns))
        if isinstance(answer, list):
            return answer
        self.broken = self.broken or (f"a read raised {answer}" if answer is not None else _WRONG_SHAPE)
        now_ns = self._clock.now_ns()
        return [_failed(channel.id, asked_ns, now_ns) for channel in channels]

    def close(self) -> None:
        raised = _asked(self._source.close)
        if raised is not None:
            self.broken = self.broken or f"closing it raised {raised}"

    def _believable(self, readings: list[Reading], channels: Sequence[Channel], asked_ns: int) -> list[Reading] | None:
        """The readings, in place of each that cannot be one that failed; ``None`` when they are not those of the channels."""
        if [reading.channel for reading in readings] != [channel.id for channel in channels]:
            return None
        now_ns = self._clock.now_ns()
        for place, reading in enumerate(readings):
            good = math.isfinite(reading.value) and reading.value >= 0
            in_time = asked_ns <= reading.t_ns <= now_ns and 0 <= reading.call_ns <= reading.t_ns - asked_ns
            if in_time and (good if reading.status is Status.OK else math.isnan(reading.value)):
                continue
            self.broken = self.broken or f"it answered with {reading}"
            readings[place] = _failed(reading.channel, asked_ns, now_ns)
        return readings


def open_guarded(name: str, open_source: OpenSource, around: Surroundings) -> Guarded:
    """Open a source. Raises ``LLEMError`` where it cannot even be tried."""
    found = _asked(lambda: open_source(around))
    if not isinstance(found, _Raised):
        return Guarded(name, found, around.clock)
    if isinstance(found.error, LLEMError):
        raise found.error
    raise EnergyError(f"opening it raised {found}", hint=_REMEDY) from found.error


def _failed(channel: int, asked_ns: int, now_ns: int) -> Reading:
    return Reading(now_ns, now_ns - asked_ns, channel, math.nan, Status.FAILED)


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a plug-in raised, in words: ``ValueError: no watts (shelly.py:12)``; the innermost line is where to look."""

    error: Exception

    def __str__(self) -> str:
        trace = self.error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
        return f"{type(self.error).__name__}: {self.error}{where}"


def _asked(ask: Callable[[], Answer]) -> Answer | _Raised:
    """What a plug-in answers, or raises."""
    try:
        return ask()
    except Exception as error:  # the border to a plug-in: whatever is wrong with it stops nothing else
        return _Raised(error)
