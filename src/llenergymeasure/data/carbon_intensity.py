"""Carbon intensity of electricity by country: yearly means, with their source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class GridIntensity:
    """Lifecycle grams of CO2e per kWh of electricity generated in a region, as a mean over ``year``."""

    region: str
    gco2_per_kwh: float
    year: int
    source: str


def intensity_of(region: str) -> GridIntensity | None:
    """The intensity of a country by its ISO 3166 code of two or three letters; ``None`` for one that the table lacks."""
    table = _table()
    code = table["alpha2"].get(region.upper(), region.upper())
    row = table["gco2_per_kwh"].get(code)
    return None if row is None else GridIntensity(region.upper(), float(row[0]), int(row[1]), table["source"])


def known_regions() -> tuple[str, ...]:
    """All codes that the table answers to."""
    table = _table()
    return (*table["alpha2"], *table["gco2_per_kwh"])


@cache
def _table() -> Any:
    return json.loads(files(__package__).joinpath("carbon_intensity.json").read_text(encoding="utf-8"))
