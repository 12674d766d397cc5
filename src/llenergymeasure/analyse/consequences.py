"""What energy means in other terms: per request, in grams of CO2e, in money."""

from __future__ import annotations

from llenergymeasure.model.job import Site
from llenergymeasure.schema.energy import CarbonGroup, CostGroup, DerivedGroup
from llenergymeasure.schema.performance import TokenGroup
from llenergymeasure.schema.quantity import Quantity

_J_PER_KWH = 3.6e6


def derived(energy_j: Quantity, tokens: TokenGroup, mean_request_s: float | None) -> DerivedGroup:
    """Energy per request, its product with the mean end-to-end latency, and tokens a kilowatt hour."""
    if energy_j.value is None or not tokens.requests:
        return DerivedGroup()
    per_request_j = energy_j.value / tokens.requests
    return DerivedGroup(
        energy_per_request_j=per_request_j,
        energy_delay_product_js=None if mean_request_s is None else per_request_j * mean_request_s,
        tokens_per_kwh=tokens.output_tokens / (energy_j.value / _J_PER_KWH),
    )


def carbon(energy_j: Quantity, site: Site) -> CarbonGroup:
    """Operational emissions (GHG Protocol, scope 2, location based): energy × PUE × intensity."""
    known = {
        "carbon_intensity_gco2_kwh": site.carbon_intensity_gco2_kwh,
        "estimation_method": site.estimation_method,
        "source": site.intensity_source,
        "region": site.region,
        "year": site.year,
        "datacenter_pue": site.datacenter_pue,
    }
    if energy_j.value is None:
        return CarbonGroup(**known, reason=f"no energy: {energy_j.reason}")
    if site.carbon_intensity_gco2_kwh is None:
        return CarbonGroup(
            **known, reason="no carbon intensity: set measurement.region or measurement.carbon_intensity_gco2_kwh"
        )
    grams_per_j = site.datacenter_pue * site.carbon_intensity_gco2_kwh / _J_PER_KWH
    bounds = energy_j.absolute_95
    return CarbonGroup(
        **known,
        co2_g=energy_j.value * grams_per_j,
        co2_low_g=None if bounds is None else bounds.low * grams_per_j,
        co2_high_g=None if bounds is None else bounds.high * grams_per_j,
    )


def cost(energy_j: Quantity, tokens: TokenGroup, site: Site) -> CostGroup:
    """What the electricity costs."""
    known = {"price_per_kwh": site.price, "currency": site.currency}
    if energy_j.value is None:
        return CostGroup(**known, reason=f"no energy: {energy_j.reason}")
    if site.price is None:
        return CostGroup(**known, reason="no price: set measurement.electricity_price_per_kwh")
    money = energy_j.value / _J_PER_KWH * site.datacenter_pue * site.price
    return CostGroup(
        **known,
        cost=money,
        cost_per_million_output_tokens=1e6 * money / tokens.output_tokens if tokens.output_tokens else None,
    )
