"""Energy in other terms: per request, in grams, in money."""

from __future__ import annotations

import pytest

from llenergymeasure.analyse.consequences import carbon, cost, derived
from llenergymeasure.model.job import Site
from llenergymeasure.schema.performance import TokenGroup
from llenergymeasure.schema.quantity import missing
from llenergymeasure.testing.builders import joules

_TOKENS = TokenGroup(input_tokens=10, output_tokens=1000, requests=4)
_NOTHING = TokenGroup(input_tokens=0, output_tokens=0, requests=0)
_KWH = joules(3.6e6, absolute_95={"low": 1.8e6, "high": 7.2e6})


def test_energy_a_request_and_tokens_a_kilowatt_hour() -> None:
    """Their product with the mean time of a request is there where that is known."""
    found = derived(_KWH, _TOKENS, 2.0)
    assert (found.energy_per_request_j, found.energy_delay_product_js) == (0.9e6, 1.8e6)
    assert found.tokens_per_kwh == pytest.approx(1000)
    assert derived(_KWH, _TOKENS, None).energy_delay_product_js is None
    assert derived(missing("J", "none"), _TOKENS, 2.0).energy_per_request_j is None
    assert derived(_KWH, _NOTHING, 2.0).tokens_per_kwh is None


def test_grams_are_energy_times_pue_times_intensity() -> None:
    """With the bounds of the energy; without bounds, without."""
    site = Site(carbon_intensity_gco2_kwh=400.0, datacenter_pue=1.5)
    found = carbon(_KWH, site)
    assert (found.co2_g, found.co2_low_g, found.co2_high_g) == (600.0, 300.0, 1200.0)
    assert carbon(joules(3.6e6), site).co2_low_g is None
    assert found.reason is None


def test_price_is_energy_times_pue_times_price() -> None:
    """Per million output tokens too, where there are any."""
    site = Site(price=0.2, currency="EUR", datacenter_pue=1.5)
    found = cost(_KWH, _TOKENS, site)
    assert (found.cost, found.cost_per_million_output_tokens) == (pytest.approx(0.3), pytest.approx(300.0))
    assert cost(_KWH, _NOTHING, site).cost_per_million_output_tokens is None


def test_what_is_not_known_is_not_assumed() -> None:
    """No energy, no intensity, no price: each is the reason."""
    none = missing("J", "no meter")
    assert carbon(none, Site()).reason == cost(none, _TOKENS, Site()).reason == "no energy: no meter"
    assert "no carbon intensity" in str(carbon(_KWH, Site()).reason)
    assert "no price" in str(cost(_KWH, _TOKENS, Site()).reason)
