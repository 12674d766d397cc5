"""What other tools say of the whole trial, beside our own energy. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.analyse.energy.series import series_of
from llenergymeasure.model.reading import Channel, Readings, Readout
from llenergymeasure.schema.energy import Witness
from llenergymeasure.units import ns_to_s

_TOO_FEW = "it answered less than twice"
_NO_CO2E = "its settings name no country"


def witnesses(readout: Readout) -> tuple[Witness, ...]:
    """One for each tool. Nothing of it enters any sum."""
    asked = [channel for channel in readout.channels if channel.kind == "witness"]
    return tuple(
        _witness(name, [channel for channel in asked if channel.source == name], readout.readings)
        for name in dict.fromkeys(channel.source for channel in asked)
    )


def _witness(name: str, channels: Sequence[Channel], readings: Readings) -> Witness:
    """What it counted from its first good reading to its last: energy in J, and CO2e in g where it gives that."""
    counted = {channel.unit: _counted(channel, readings) for channel in channels}
    joules, grams = counted.get("J"), counted.get("g")
    reasons = {
        "energy": _TOO_FEW if joules is None else "",
        "CO2e": "" if grams else _TOO_FEW if "g" in counted else _NO_CO2E,
    }
    return Witness(
        source=name,
        says=channels[0].device_name,
        energy_j=joules and joules[0],
        co2e_g=grams and grams[0],
        duration_s=joules and joules[1],
        reason="; ".join(f"no {what}: {why}" for what, why in reasons.items() if why) or None,
    )


def _counted(channel: Channel, readings: Readings) -> tuple[float, float] | None:
    """(how much, in how many seconds)."""
    good = series_of(readings, channel.id)
    if len(good.value) < 2:
        return None
    return float(good.value[-1] - good.value[0]), ns_to_s(int(good.t_ns[-1] - good.t_ns[0]))
