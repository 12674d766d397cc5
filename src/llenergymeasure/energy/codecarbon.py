"""CodeCarbon as a witness: what it says of the whole trial, recorded beside our own energy and never part of it."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import Channel, Reading, Status

# Each read makes it measure: rarely enough to cost nothing, often enough that a killed trial keeps most of it.
_RATE_HZ = 0.2
# It measures when it is read. Its own clock for that is left idle: two threads in it at once would count the same seconds twice.
_MEASURES_BY_ITSELF_EVERY_S = 86_400.0
_J_PER_KWH, _G_PER_KG = 3.6e6, 1000.0

_ONLY_BY_NAME = Unavailable(
    "a witness beside a measurement, not one itself: read only when it is asked for by name", "--energy auto,codecarbon"
)


class Tracker(Protocol):
    """What is used of ``codecarbon.OfflineEmissionsTracker``. What fails in it does not raise, and reaches no handler."""

    def start(self) -> None: ...

    def flush(self) -> float | None:
        """Measure now, and hand the totals since the start to the output handlers."""

    def stop(self) -> float | None: ...


class Kept:
    """An output handler of CodeCarbon: keeps the newest totals, in kWh and kg, and writes nothing anywhere."""

    def __init__(self) -> None:
        self.totals: Any = None

    def out(self, total: Any, delta: Any) -> None:
        """Called by ``flush`` and ``stop``."""
        self.totals = total

    def live_out(self, total: Any, delta: Any) -> None:
        """Not called: it belongs to intervals that are switched off."""

    def task_out(self, data: Any, experiment_name: str) -> None:
        """Not called: there are no tasks."""

    def exit(self) -> None:
        """Nothing is held."""


class CodecarbonSource:
    """Cumulative joules and, where its settings name a country, grams of CO2e, since the channels were asked for.

    ``open_tracker`` makes a tracker that hands what it measures to a ``Kept``; ``version`` is CodeCarbon's. It tracks the
    machine, not a process, and mixes sensors with guesses: the channel's name repeats what it says of its parts.
    """

    def __init__(self, open_tracker: Callable[[Kept], Tracker], version: str, around: Surroundings) -> None:
        self._open_tracker = open_tracker
        self._version = version
        self._around = around
        self._clock: Clock = around.clock
        self._kept = Kept()
        self._tracker: Tracker | None = None
        self._one_at_a_time = threading.Lock()

    def channels(self) -> Sequence[Channel] | Unavailable:
        if not self._around.asked_for:
            return _ONLY_BY_NAME
        self._tracker = self._open_tracker(self._kept)
        self._tracker.start()
        totals = self._totals()
        if totals is None:
            return Unavailable(f"CodeCarbon {self._version} was started and gave no figures")
        joules = self._channel(0, "J", "")
        # Without a country it multiplies by the mean of the world, which says nothing about this machine.
        if not totals.country_iso_code:
            return (joules,)
        return joules, self._channel(1, "g", f"CO2e, {totals.country_iso_code}")

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        began_ns = self._clock.now_ns()
        totals = self._totals()
        t_ns = self._clock.now_ns()
        if totals is None:
            return [Reading(t_ns, t_ns - began_ns, channel.id, math.nan, Status.FAILED) for channel in channels]
        values = {"J": totals.energy_consumed * _J_PER_KWH, "g": totals.emissions * _G_PER_KG}
        return [Reading(t_ns, t_ns - began_ns, channel.id, values[channel.unit]) for channel in channels]

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.stop()
            self._tracker = None

    def _totals(self) -> Any:
        """What it has counted until now, ``None`` when it failed: then it hands over nothing."""
        with self._one_at_a_time:
            self._kept.totals = None
            if self._tracker is not None:
                self._tracker.flush()
            return self._kept.totals

    def _channel(self, number: int, unit: str, detail: str) -> Channel:
        parts = getattr(self._tracker, "_conf", {}).get("hardware") or ("it does not say of what",)
        return Channel(
            id=number,
            source="codecarbon",
            domain="node",
            device="codecarbon",
            device_name=f"CodeCarbon {self._version}: {' + '.join(parts)}",
            kind="witness",
            unit=unit,
            rate_hz=_RATE_HZ,
            detail=detail,
        )


def open_source(around: Surroundings) -> EnergySource:
    """The installed CodeCarbon. Raises ``EnergyError`` when there is none."""
    # Its warnings are about outputs that are not used here, and what it tries to import prints.
    logging.getLogger("codecarbon").disabled = True
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import codecarbon
    except ImportError as error:
        raise EnergyError(
            f"CodeCarbon cannot be imported: {error}", hint="pip install 'llenergymeasure[codecarbon]'"
        ) from error

    def open_tracker(kept: Kept) -> Tracker:
        # Said one by one, since its own configuration file and variables could turn on what writes and sends.
        tracker: Tracker = codecarbon.OfflineEmissionsTracker(
            tracking_mode="machine",
            measure_power_secs=_MEASURES_BY_ITSELF_EVERY_S,
            allow_multiple_runs=True,
            output_methods=[],
            output_handlers=[kept],
            emissions_endpoint=None,
            electricitymaps_api_token="",
            api_call_interval=-1,
            log_level="critical",
        )
        return tracker

    return CodecarbonSource(open_tracker, str(codecarbon.__version__), around)
