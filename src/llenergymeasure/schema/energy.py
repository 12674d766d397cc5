"""Energy of a trial and what follows from it: by device, at rest, in grams and in money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llenergymeasure.schema.quantity import Grade, Quantity, Record, missing

_OLDER = "not computed by the version that wrote this"


class DomainEnergy(Record):
    """Energy of one domain of one device over the window, by one channel. ``scope`` says what it covers and how it is known."""

    domain: str
    device: str
    source: str
    method: str
    grade: Grade
    estimated: bool
    gross_j: Quantity
    net_j: Quantity = missing("J", _OLDER)
    scope: str | None = None
    in_headline: bool


class BaselinePower(Record):
    """Power at rest of the devices that worked, in W, each with a 95 % interval from its own blocks and drift.

    ``idle`` (I0) before anything is loaded, ``idle_loaded`` (I1) with the model in memory, ``quiet`` (I2) right after the work.
    The sensor's gain is left out: it is the same at rest and at work.
    """

    idle: Quantity = missing("W", _OLDER)
    idle_loaded: Quantity = missing("W", _OLDER)
    quiet: Quantity = missing("W", _OLDER)


class CrossCheck(Record):
    """What two meters of one domain of one device gave for the window; the first counts.

    Both are as they were read, or as calibrated where both are. ``ratio`` is the first over the other. Where it is more than 2 %
    from 1, and more than their uncertainty explains, that of gains that were not calibrated left out, they do not agree, and the
    intervals reach from one to the other.
    """

    device: str
    domain: str
    source: str
    kind: str
    energy_j: float
    other_source: str
    other_kind: str
    other_energy_j: float
    ratio: float
    agrees: bool


class Witness(Record):
    """What another tool says of the whole trial, loading and rest included. It is never part of our energy.

    ``says`` repeats what the tool says of itself and of what it looks at; some of that may be guessed. ``co2e_g`` is by its own
    table of grids. ``None`` with a reason where it gave nothing.
    """

    source: str
    scope: Literal["trial"] = "trial"
    says: str
    energy_j: float | None = None
    co2e_g: float | None = None
    duration_s: float | None = None
    reason: str | None = None


class EnergyGroup(Record):
    """Energy by device. ``bystanders`` were read and did not work; they are never summed.

    ``load_energy_j`` is what opening the model took; ``energy_per_device_j`` holds the parts of the headline; ``prefill_j`` and
    ``decode_j`` split it by phase. ``node_j`` adds up all that was metered on the machine, bystanders too, and ``node_missing``
    names what no meter saw. ``sensor_profiles`` holds, for each channel that energy was read of, what was found out about it.
    ``start_temperature_c`` is that of each device as the window began; ``witnesses`` are other tools beside ours.
    """

    domains: tuple[DomainEnergy, ...] = ()
    bystanders: tuple[DomainEnergy, ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()
    baseline_power_w: BaselinePower = BaselinePower()
    load_energy_j: Quantity = missing("J", _OLDER)
    energy_per_device_j: Mapping[str, float] = {}
    prefill_j: Quantity = missing("J", _OLDER)
    decode_j: Quantity = missing("J", _OLDER)
    cross_checks: tuple[CrossCheck, ...] = ()
    node_j: Quantity = missing("J", _OLDER)
    node_missing: tuple[str, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    sensor_profiles: tuple[Mapping[str, Any], ...] = ()
    start_temperature_c: Mapping[str, float] = {}


class MultiGpuGroup(Record):
    """Energy by GPU, when more than one worked."""

    num_gpus: int
    energy_per_gpu_j: Mapping[str, float]
    energy_total_j: float
    energy_per_output_token_j: float | None


class DerivedGroup(Record):
    """The same energy in other terms. ``None`` where it is not known. ``energy_delay_product_js``: J × s a request."""

    energy_per_request_j: float | None = None
    energy_delay_product_js: float | None = None
    tokens_per_kwh: float | None = None


class CarbonGroup(Record):
    """Grams of CO2e of the window: energy × PUE × intensity. ``None`` with a reason without a source; never a default country."""

    co2_g: float | None = None
    co2_low_g: float | None = None
    co2_high_g: float | None = None
    carbon_intensity_gco2_kwh: float | None = None
    estimation_method: str | None = None
    source: str | None = None
    region: str | None = None
    year: int | None = None
    datacenter_pue: float | None = None
    reason: str | None = None


class CostGroup(Record):
    """Price of the window's electricity: energy × PUE × price. ``None`` with a reason without a price."""

    cost: float | None = None
    cost_per_million_output_tokens: float | None = None
    currency: str | None = None
    price_per_kwh: float | None = None
    reason: str | None = None
