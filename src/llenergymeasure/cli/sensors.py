"""``llem config --characterise`` and ``--calibrate``: what this machine's sensors are worth."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing

import click

from llenergymeasure.analyse.energy.calibration import calibration_of
from llenergymeasure.analyse.energy.series import NoEnergy, series_of
from llenergymeasure.analyse.energy.window import energy_of
from llenergymeasure.clock import MonotonicClock, utc_now
from llenergymeasure.energy.characterise import NO_LOAD
from llenergymeasure.energy.characterising import characterise
from llenergymeasure.energy.select import Reads, Selection, select
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.machine.busy_load import BusyLoad
from llenergymeasure.machine.sensor_profiles import (
    calibrations_path,
    drivers,
    name_of,
    profiles_path,
    stored_calibrations,
    stored_profiles,
    text_of,
)
from llenergymeasure.meter.beside import read_beside
from llenergymeasure.meter.here import surroundings
from llenergymeasure.model.profile import SensorProfile
from llenergymeasure.model.reading import ENERGY_KINDS, Channel
from llenergymeasure.runners.resolve import runner_at
from llenergymeasure.store.atomic import write_text
from llenergymeasure.study.options import settings_here

_TORCH = "pytorch"


def characterise_sensors() -> int:
    """Read every metered channel densely, at rest and under a load, and keep what was found."""
    settings, clock = settings_here({}), MonotonicClock()
    wish = tuple(settings.values.measurement.energy_source.split(","))
    with closing(select(wish, surroundings())) as selection, ExitStack() as stack:
        device = _device_of(selection)
        load: BusyLoad | None = None
        try:
            at = settings.place_of(_TORCH).at if device == "cuda" else "local"
            load = stack.enter_context(BusyLoad(runner_at(at), device, clock))
        except LLEMError as error:
            click.echo(f"no load: {error}" + (f" ({error.hint})" if error.hint else ""), err=True)
            click.echo("  without one only ticks and power at rest are seen", err=True)
        seconds = 3 if load is None else 20
        click.echo(f"reading the sensors for about {seconds} s: nothing else should run on this machine", err=True)
        now = utc_now().isoformat()
        found = characterise(selection.reads, clock, load, measured_at=now, driver_of=drivers())
    for channel, profile in found:
        click.echo("\n".join(described(channel, profile)))
    profiles_path().parent.mkdir(parents=True, exist_ok=True)
    write_text(profiles_path(), text_of(to_keep(stored_profiles(), {name_of(channel): one for channel, one in found})))
    click.echo(f"kept: {profiles_path()}", err=True)
    return 0


def to_keep(stored: Mapping[str, SensorProfile], found: Mapping[str, SensorProfile]) -> dict[str, SensorProfile]:
    """The profiles by name, new ones first; but what was seen without a load replaces nothing that was seen with one."""

    def knew_more(name: str) -> bool:
        old, new = stored.get(name), found[name]
        return old is not None and old.driver == new.driver and NO_LOAD in new.notes and NO_LOAD not in old.notes

    return {**stored, **{name: one for name, one in found.items() if not knew_more(name)}}


def _device_of(selection: Selection) -> str:
    """What to load: GPUs where one is metered, else the processor. Raises ``EnergyError`` where nothing is metered."""
    metered = [channel for channel in selection.channels if channel.kind in ENERGY_KINDS[:-1]]
    if not metered:
        raise EnergyError("there is no sensor to read here", hint="llem config says of each source why, and what helps")
    return "cuda" if any(channel.domain in ("gpu", "module") for channel in metered) else "cpu"


def described(channel: Channel, profile: SensorProfile) -> list[str]:
    """A profile in lines, the channel's name first."""
    rows = (
        ("ticks each", profile.tick_s, profile.tick_jitter_s),
        ("a read takes", profile.call_s, None),
        ("late by", profile.lag_s, None),
        ("mean over", profile.averaging_s, None),
    )
    lines = [name_of(channel) + (f"    {_verdict(profile)}" if channel.kind == "counter" else "")]
    for what, value, spread in rows:
        if value is not None:
            lines.append(f"  {what:<14} {value * 1e3:.3g} ms" + ("" if spread is None else f" ± {spread * 1e3:.2g} ms"))
    if profile.duty is not None:
        lines.append(f"  {'sees':<14} {profile.duty * 100:.0f} % of the time")
    shares = (
        ("square wave of a tick", profile.alias_locked),
        ("square wave of 1.37 ticks", profile.alias_unlocked),
        ("counter over power at rest", None if profile.to_power_idle is None else profile.to_power_idle - 1),
        ("counter over power at work", None if profile.to_power_load is None else profile.to_power_load - 1),
    )
    lines += [f"  {what}: {round(share * 100, 1) + 0.0:+.1f} %" for what, share in shares if share is not None]
    return [*lines, *(f"  note: {note}" for note in profile.notes)]


def _verdict(profile: SensorProfile) -> str:
    if profile.passed:
        return "passed"
    return "not judged: that takes a load" if NO_LOAD in profile.notes else "not passed"


def calibrate_channel(name: str, *, joules: float | None, percent: float | None) -> int:
    """Meter one channel beside a reference meter, from one Enter to the next, and keep how far it is off.

    The reference must see what the channel sees and nothing else: an interposer at a board's feed, not the wall plug.
    """
    clock = MonotonicClock()
    with closing(select((name.partition(":")[0],), surroundings())) as selection:
        channel = _named(selection, name)
        reads = [Reads(read.source, (channel,)) for read in selection.reads if channel in read.channels]
        click.prompt("run a load; Enter when the reference meter begins", default="", show_default=False, err=True)
        readings, window = read_beside(reads, clock, _between_two_enters)
    found = energy_of(channel, series_of(readings, channel.id), window)
    if isinstance(found, NoEnergy):
        raise EnergyError(f"{name}: {found.reason}", hint="measure for a minute or longer, under a load")
    click.echo(f"{name}: {found.energy_j:.6g} J in {window.duration_s:.1f} s", err=True)
    reference_j = click.prompt("joules by the reference meter", type=float, err=True) if joules is None else joules
    u = click.prompt("its standard uncertainty in %", type=float, err=True) if percent is None else percent
    reference = click.prompt("which meter it is", err=True)
    calibration = calibration_of(found, reference_j, u / 100, reference=reference, measured_at=utc_now().isoformat())
    calibrations_path().parent.mkdir(parents=True, exist_ok=True)
    write_text(calibrations_path(), text_of(stored_calibrations() | {name: calibration}))
    off, known = (calibration.gain - 1) * 100, calibration.u_gain * 100
    click.echo(f"{name} shows {off:+.2f} %, known to {known:.2f} % (standard uncertainty)")
    click.echo(f"kept: {calibrations_path()}", err=True)
    return 0


def _named(selection: Selection, name: str) -> Channel:
    """The channel of that name. Raises ``EnergyError`` with the names that there are."""
    metered = {name_of(channel): channel for channel in selection.channels if channel.kind in ENERGY_KINDS[:-1]}
    if name not in metered:
        raise EnergyError(
            f"there is no channel {name!r} here",
            hint=f"there are {', '.join(metered)}" if metered else "nothing is metered here",
        )
    return metered[name]


def _between_two_enters() -> None:
    """Wait for the reference meter's end; its begin was asked for before."""
    click.prompt("Enter when the reference meter ends", default="", show_default=False, err=True)
