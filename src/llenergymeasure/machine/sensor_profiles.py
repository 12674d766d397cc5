"""What was found out about this machine's sensors: profiles in the cache, calibrations beside the user's configuration."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from llenergymeasure.config.place import user_config_path
from llenergymeasure.energy.select import Reads, Selection
from llenergymeasure.errors import StoreError
from llenergymeasure.machine.gpus import gpus
from llenergymeasure.model.codec import CodecError, decode, encode
from llenergymeasure.model.profile import Calibration, SensorProfile
from llenergymeasure.model.reading import ENERGY_KINDS, Channel
from llenergymeasure.models.cache import cache_dir

T = TypeVar("T")


def name_of(channel: Channel) -> str:
    """``nvml:GPU-…:gpu:counter``: by which a channel is called, and its profile and calibration are kept."""
    return f"{channel.source}:{channel.device}:{channel.domain}:{channel.kind}"


def drivers() -> Callable[[Channel], str | None]:
    """What a channel's readings come through: the version of a board's driver, of the processor the kernel."""
    versions: Mapping[str, str | None] = {gpu.uuid: gpu.driver_version for gpu in gpus()}
    return lambda channel: platform.release() if channel.device == "cpu" else versions.get(channel.device)


def profiles_path() -> Path:
    """The file of profiles: made again by ``llem config --characterise``."""
    return cache_dir() / "sensor_profiles.json"


def calibrations_path() -> Path:
    """The file of calibrations: nothing can make it again, so it is no cache."""
    return user_config_path().parent / "calibrations.json"


def stored_profiles() -> dict[str, SensorProfile]:
    """Those kept on this machine, by the name of their channel; a file that cannot be read holds none."""
    return _stored(SensorProfile, profiles_path())


def stored_calibrations() -> dict[str, Calibration]:
    """Those kept on this machine, by the name of their channel. Raises ``StoreError`` for a file that cannot be read."""
    path = calibrations_path()
    found = _stored(Calibration, path)
    if path.exists() and not found:
        raise StoreError(
            f"{path}: is not a file of calibrations", hint="correct it, or calibrate again after removing it"
        )
    return found


def text_of(found: Mapping[str, SensorProfile] | Mapping[str, Calibration]) -> str:
    """What such a file holds."""
    return json.dumps({name: encode(value) for name, value in found.items()}, indent=1) + "\n"


def with_what_is_known(selection: Selection) -> Selection:
    """The same channels with what was found out about each; a profile under another driver is none."""
    profiles, calibrations = stored_profiles(), stored_calibrations()
    if not profiles and not calibrations:
        return selection
    driver_of = drivers()

    def known(channel: Channel) -> Channel:
        profile, calibration = profiles.get(name_of(channel)), calibrations.get(name_of(channel))
        if profile is not None and profile.driver != driver_of(channel):
            profile = None
        return told(channel, profile, calibration) if channel.kind in ENERGY_KINDS else channel

    reads = tuple(Reads(read.source, tuple(known(channel) for channel in read.channels)) for read in selection.reads)
    return dataclasses.replace(selection, reads=reads)


def told(channel: Channel, profile: SensorProfile | None, calibration: Calibration | None) -> Channel:
    """A channel that knows what was found out about it. What its source states of the averaging stands."""
    if profile is None:
        return dataclasses.replace(channel, calibration=calibration)
    return dataclasses.replace(
        channel,
        profile=profile,
        calibration=calibration,
        update_period_s=_first(profile.tick_s, channel.update_period_s),
        averaging_s=_first(channel.averaging_s, profile.averaging_s),
        lag_s=_first(profile.lag_s, channel.lag_s),
        duty=_first(profile.duty, channel.duty),
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _stored(kind: type[T], path: Path) -> dict[str, T]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): decode(kind, value) for name, value in document.items()}
    except (OSError, ValueError, AttributeError, CodecError):
        return {}
