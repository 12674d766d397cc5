"""What a kilowatt hour means here, from the settings and the table of grids. Nothing is assumed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from llenergymeasure.config.problems import did_you_mean
from llenergymeasure.config.settings import Settings
from llenergymeasure.data.carbon_intensity import intensity_of, known_regions
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.codec import encode
from llenergymeasure.model.job import Setting, Site

T = TypeVar("T")


def site_of(settings: Settings) -> Site:
    """Carbon intensity as given, else by region from the table, else unknown. Raises ``ConfigError`` for an unknown region."""
    here = settings.values.measurement
    site = Site(
        region=here.region,
        datacenter_pue=here.datacenter_pue,
        price=here.electricity_price_per_kwh,
        currency=here.currency,
        carbon_intensity_gco2_kwh=here.carbon_intensity_gco2_kwh,
        estimation_method=None if here.carbon_intensity_gco2_kwh is None else "user_specified",
        intensity_source=_unnamed(settings.origins.get("measurement.carbon_intensity_gco2_kwh")),
    )
    if site.carbon_intensity_gco2_kwh is not None or here.region is None:
        return site
    grid = intensity_of(here.region)
    if grid is None:
        raise ConfigError(
            f"region {here.region!r} is not in the table of grids",
            hint=did_you_mean(here.region, known_regions()) or "give measurement.carbon_intensity_gco2_kwh",
        )
    return Site(
        carbon_intensity_gco2_kwh=grid.gco2_per_kwh,
        estimation_method="region_table",
        intensity_source=grid.source,
        region=grid.region,
        year=grid.year,
        datacenter_pue=here.datacenter_pue,
        price=here.electricity_price_per_kwh,
        currency=here.currency,
    )


def settings_of(settings: Settings) -> tuple[Setting, ...]:
    """Every effective setting with its origin, for the record. The user's own folder is ``~``: its path holds a name."""
    return tuple(Setting(key, _unnamed(encode(value)), _unnamed(origin)) for key, value, origin in settings.rows())


def _unnamed(value: T) -> T | str:
    home = str(Path.home())
    if isinstance(value, str) and (value == home or value.startswith(home + os.sep)):
        return "~" + value[len(home) :]
    return value
