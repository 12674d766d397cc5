"""A Shelly plug or power meter (second generation and later) at the wall, as an energy source of llenergymeasure.

Where it is, is a fact about a place and no part of a study: the variables ``SHELLY_ADDRESS`` (``plug.lan``, or ``10.0.0.7:80``)
and ``SHELLY_COMPONENT`` (``switch:0``, the default, of plugs and relays; ``pm1:0`` of meters that cannot switch).
"""

from __future__ import annotations

import http.client
import json
import math
import os
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import Channel, ChannelKind, Reading, Status

# Answers come from a small computer over a radio. Once a second is what it bears; a rate of 1 Hz or less also means that reads
# run in a thread of their own, where a slow answer delays no other meter.
RATE_HZ = 1.0
TIMEOUT_S = 2.0
# The maker gives no figure for the whole range: ±2 % until it was held against a better meter (`llem config --calibrate`).
STATED_ERROR = 0.02
J_PER_WH = 3600.0

# How each kind of component is asked. Both answer with `apower` in W and `aenergy.total` in Wh.
METHODS = {"switch": "Switch.GetStatus", "pm1": "PM1.GetStatus"}

# What is wrong with an answer: no route, a timeout, an HTTP status, bytes that are no JSON, fields that are not there.
BAD_ANSWER = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError)

# The way to it leads through no proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

VALUES: Mapping[ChannelKind, Callable[[Any], float]] = {
    "counter": lambda status: float(status["aenergy"]["total"]) * J_PER_WH,
    "power_instant": lambda status: float(status["apower"]),
}


class ShellySource:
    """Two channels of the domain ``wall``: the device's energy counter and its power. ``address`` may end in a port.

    How often the counter moves is not documented and is left to be seen in its readings: where it moved too rarely for a
    window, power answers. What a plug sees is all that is behind it, power supply and screen included: it covers the machine's
    other meters and is never added to them.
    """

    def __init__(self, address: str, component: str, around: Surroundings) -> None:
        self._address = address
        self._kind, _, self._number = component.partition(":")
        self._clock = around.clock

    def channels(self) -> Sequence[Channel] | Unavailable:
        try:
            about = self._ask("Shelly.GetDeviceInfo")
            status = self._status()
            there = [kind for kind, value in VALUES.items() if _is_there(value, status)]
        except BAD_ANSWER as error:
            return Unavailable(f"the Shelly at {self._address} does not answer: {error}", "check SHELLY_ADDRESS")
        if not there:
            return Unavailable(f"{self._kind}:{self._number} has no power meter", "set SHELLY_COMPONENT, as in pm1:0")
        return tuple(self._channel(number, kind, about) for number, kind in enumerate(there))

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        """One question answers for all channels."""
        began_ns = self._clock.now_ns()
        try:
            status = self._status()
        except BAD_ANSWER:
            status = None
        t_ns = self._clock.now_ns()
        return [self._reading(channel, status, began_ns, t_ns) for channel in channels]

    def close(self) -> None:
        """Each question has its own connection."""

    def _channel(self, number: int, kind: ChannelKind, about: Any) -> Channel:
        counts = kind == "counter"
        return Channel(
            id=number,
            source="shelly",
            domain="wall",
            device=str(about["id"]),
            device_name=f"Shelly {about.get('model', '')} {self._kind}:{self._number}".replace("  ", " "),
            kind=kind,
            unit="J" if counts else "W",
            rate_hz=RATE_HZ,
            resolution=0.001 * J_PER_WH if counts else 0.1,
            stated_error=STATED_ERROR,
            covers=("gpu", "module", "package", "dram", "node"),
        )

    def _reading(self, channel: Channel, status: Any, began_ns: int, t_ns: int) -> Reading:
        try:
            value = VALUES[channel.kind](status)
        except BAD_ANSWER:
            value = math.nan
        # A machine that runs takes power: zero is a plug that sees nothing.
        good = math.isfinite(value) and value > 0
        return Reading(
            t_ns, t_ns - began_ns, channel.id, value if good else math.nan, Status.OK if good else Status.FAILED
        )

    def _status(self) -> Any:
        return self._ask(f"{METHODS[self._kind]}?id={self._number}")

    def _ask(self, method: str) -> Any:
        with OPENER.open(f"http://{self._address}/rpc/{method}", timeout=TIMEOUT_S) as answer:
            return json.load(answer)


def _is_there(value: Callable[[Any], float], status: Any) -> bool:
    try:
        return math.isfinite(value(status))
    except (KeyError, TypeError):
        return False


def open_source(around: Surroundings) -> EnergySource:
    """The Shelly that the environment names. Raises ``EnergyError`` where it names none."""
    address = os.environ.get("SHELLY_ADDRESS")
    if not address:
        raise EnergyError("no Shelly is named", hint="set SHELLY_ADDRESS to its host name or address")
    component = os.environ.get("SHELLY_COMPONENT", "switch:0")
    if component.partition(":")[0] not in METHODS:
        raise EnergyError(
            f"SHELLY_COMPONENT is {component!r}", hint=f"one of {', '.join(f'{kind}:0' for kind in METHODS)}"
        )
    return ShellySource(address, component, around)
