"""A source held to its contract: what it raises or answers wrongly becomes readings that failed, and a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, OpenSource, Surroundings, Unavailable
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.model.reading import Channel, Reading, Status

_REMEDY = "tell the author of the plug-in"


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
        try:
            return self._source.channels()
        except Exception as error:  # the border to a plug-in: whatever is wrong with it stops nothing else
            return Unavailable(f"asked for its channels it raised {_named(error)}", _REMEDY)

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        asked_ns = self._clock.now_ns()
        try:
            answer = list(self._source.read(channels))
            if [reading.channel for reading in answer] == [channel.id for channel in channels]:
                return self._believable(answer, asked_ns)
            wrong = "it did not answer with one reading for each channel, in their order"
        except Exception as error:  # the border to a plug-in: whatever is wrong with it stops nothing else
            wrong = f"a read raised {_named(error)}"
        self.broken = self.broken or wrong
        now_ns = self._clock.now_ns()
        return [_failed(channel.id, asked_ns, now_ns) for channel in channels]

    def close(self) -> None:
        try:
            self._source.close()
        except Exception as error:  # the border to a plug-in: whatever is wrong with it stops nothing else
            self.broken = self.broken or f"closing it raised {_named(error)}"

    def _believable(self, readings: list[Reading], asked_ns: int) -> list[Reading]:
        """The readings, in place of each that cannot be one that failed."""
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
    try:
        return Guarded(name, open_source(around), around.clock)
    except LLEMError:
        raise
    except Exception as error:  # the border to a plug-in: whatever is wrong with it stops nothing else
        raise EnergyError(f"opening it raised {_named(error)}", hint=_REMEDY) from error


def _failed(channel: int, asked_ns: int, now_ns: int) -> Reading:
    return Reading(now_ns, now_ns - asked_ns, channel, math.nan, Status.FAILED)


def _named(error: Exception) -> str:
    """``ValueError: no watts (shelly.py:12)``: the innermost line is where to look."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{where}"
