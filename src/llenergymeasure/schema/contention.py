"""Whether the devices of a trial were the trial's alone."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.schema.quantity import Record

Sharing = Literal["exclusive", "shared", "unknown"]


class DeviceContention(Record):
    """One device that worked, from the first idle to the end of the window, and what that was concluded from."""

    device: str
    verdict: Sharing
    evidence: tuple[str, ...]


class Contention(Record):
    """``shared``: others used a device that worked; ``exclusive``: it was seen that nobody did; else ``unknown``."""

    verdict: Sharing = "unknown"
    devices: tuple[DeviceContention, ...] = ()
