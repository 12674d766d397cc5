"""Power at rest, and what the work added to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from llenergymeasure.analyse.energy.rest import Power, Rest, idle_of, net_energy, rest
from llenergymeasure.analyse.statistics import Z_975, t_975
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Domain, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.testing.builders import joules, marks, session_facts, trace
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(10 * NS_PER_S, 20 * NS_PER_S)
_MODEL = CpuPowerModel(2, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "made up")


def _metered(
    *watts: Callable[[float], float], kind: ChannelKind = "counter", idle_s: float = 5.0, tick_s: float = 0.1
) -> Trace:
    """Counters of one device (its ``gpu``, then its ``module``) read each tick over an idle that begins at 1 s."""
    domains: tuple[Domain, ...] = ("gpu", "module")
    channels, readings = [], []
    for place, power in enumerate(watts):
        model = _MODEL if kind == "model" else None
        channels.append(Channel(place, "s", domains[place], "GPU-1", "a board", kind, "J", 10.0, cpu_power_model=model))
        at_s = np.arange(0, 20, tick_s)
        total_j = np.cumsum([power(t_s) * tick_s for t_s in at_s])
        readings += [
            Reading(round(t_s * NS_PER_S), 0, place, float(value)) for t_s, value in zip(at_s, total_j, strict=True)
        ]
    return trace(
        (),
        sorted(readings, key=lambda reading: reading.t_ns),
        channels=tuple(channels),
        session=session_facts(device_ids=("GPU-1",)),
        marks=marks(("idle", 1, 1 + idle_s), ("window", 10, 19)),
    )


def test_power_at_rest_is_energy_over_the_phase() -> None:
    """A constant draw has that power and, but for rounding, no uncertainty; gain is not part of it."""
    found = rest(_metered(lambda t_s: 70.0), "idle")
    assert found.power_w.value == pytest.approx(70.0, rel=1e-6)
    assert (found.power_w.n, found.power_w.unit, found.power_w.absolute_95) == (5, "W", None)
    assert found.total is not None and found.total.u_w == pytest.approx(0.0, abs=1e-6)
    assert found.domains[("GPU-1", "gpu")].value_w == pytest.approx(70.0, rel=1e-6)


def test_drift_and_spread_of_the_blocks_are_its_uncertainty() -> None:
    """1 W/s over 5 s: blocks of 1 s differ by 1 W each, s²/5 = 2.5/5; the drift of 5 W, taken as rectangular, adds 25/12."""
    found = rest(_metered(lambda t_s: 70.0 + t_s), "idle")
    u_w = np.sqrt(2.5 / 5 + 25 / 12)
    assert found.total is not None and found.total.u_w == pytest.approx(u_w, rel=0.01)
    interval = found.power_w.repeatability_95
    assert interval is not None and interval.high - interval.low == pytest.approx(2 * t_975(4) * u_w, rel=1e-3)


def test_the_power_of_a_device_is_the_sum_of_its_domains() -> None:
    """Each domain keeps its own, for its own net energy."""
    found = rest(_metered(lambda t_s: 70.0, lambda t_s: 30.0), "idle")
    assert found.power_w.value == pytest.approx(100.0, rel=1e-6)
    assert found.domains[("GPU-1", "module")].value_w == pytest.approx(30.0, rel=1e-6)


@pytest.mark.parametrize(("idle_s", "blocks"), [(3.7, 4), (2.8, 3), (1.5, None)])
def test_a_short_rest_is_split_less_or_not_at_all(idle_s: float, blocks: int | None) -> None:
    """A block needs eight ticks; without blocks there is a power and no interval."""
    found = rest(_metered(lambda t_s: 70.0, idle_s=idle_s), "idle")
    assert found.power_w.value == pytest.approx(70.0, rel=1e-6)
    assert found.power_w.n == blocks
    assert (found.power_w.repeatability_95 is None) == (blocks is None)
    assert (found.power_w.interval_reason is None) == (blocks is not None)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (rest(_metered(lambda t_s: 70.0), "quiet"), "no such rest"),
        (rest(_metered(lambda t_s: 1.0, kind="model"), "idle"), "an estimate has no idle power"),
        (rest(_metered(), "idle"), "no energy source was read"),
    ],
)
def test_power_at_rest_that_is_not_known(found: Rest, reason: str) -> None:
    """A phase that did not take place, a model, and no meter are told apart."""
    assert found.power_w.value is None and reason in str(found.power_w.reason)
    assert (found.total, found.domains) == (None, {})


def _gross(value: float = 1000.0, own: float | None = 10.0, whole: float | None = 50.0, **changes: object) -> Quantity:
    return joules(
        value,
        repeatability_95=None if own is None else {"low": value - own, "high": value + own},
        absolute_95=None if whole is None else {"low": value - whole, "high": value + whole},
        **changes,
    )


def test_net_energy_is_gross_less_idle_over_the_same_time() -> None:
    """Uncertainties of both add up; gain stays the same share of the smaller number."""
    net = net_energy(_gross(), Power(40.0, 1.0), _WINDOW, None)
    assert net.value == pytest.approx(600.0)
    own, whole = net.repeatability_95, net.absolute_95
    half = np.hypot(10.0, Z_975 * 1.0 * 10)
    assert own is not None and own.high - 600 == pytest.approx(half)
    gain = np.sqrt(50.0**2 - 10.0**2) / 1000
    assert whole is not None and whole.high - 600 == pytest.approx(np.hypot(half, 600 * gain))


@pytest.mark.parametrize(
    ("gross", "idle"), [(_gross(), Power(40.0, None)), (_gross(own=None), Power(40.0, 1.0))], ids=["idle", "gross"]
)
def test_net_energy_without_an_uncertainty_says_so(gross: Quantity, idle: Power) -> None:
    """The difference stands, without an interval."""
    net = net_energy(gross, idle, _WINDOW, None)
    assert net.value == pytest.approx(600.0)
    assert (net.repeatability_95, net.absolute_95) == (None, None) and net.interval_reason


def test_net_energy_of_gross_without_absolute_bounds_has_none() -> None:
    """What is not known of gross is not known of net."""
    net = net_energy(_gross(whole=None), Power(40.0, 1.0), _WINDOW, None)
    assert net.repeatability_95 is not None and net.absolute_95 is None


@pytest.mark.parametrize(
    ("gross", "idle", "reason"),
    [
        (missing("J", "broken"), Power(40.0, 1.0), "broken"),
        (joules(100.0, estimated=True), Power(1.0, 0.1), "an estimate has no idle power"),
        (_gross(), None, "why"),
        (_gross(), Power(71.0, 1.0), "idle is 71 % of gross"),
        (_gross(), Power(69.0, 11.0), "three times its uncertainty"),
    ],
)
def test_net_energy_that_means_nothing_is_missing(gross: Quantity, idle: Power | None, reason: str) -> None:
    """Nearly all idle, or a difference within its own uncertainty, is no answer."""
    net = net_energy(gross, idle, _WINDOW, "why")
    assert net.value is None and reason in str(net.reason)


def test_the_idle_of_one_trial_serves_another() -> None:
    """Its power and uncertainty come through whole, for all devices and for each domain; it is not handed on once more."""
    measured = _metered(lambda t_s: 70.0 + t_s)
    own = rest(measured, "idle")
    idle = idle_of(measured)
    assert idle is not None and own.total is not None
    head = dataclasses.replace(measured.head, marks=marks(("window", 10, 19)), idle_reused=idle)
    later = dataclasses.replace(measured, head=head)
    found = rest(later, "idle")
    assert (found.total, dict(found.domains)) == (own.total, dict(own.domains))
    assert found.power_w.value == own.power_w.value and found.power_w.repeatability_95 is not None
    assert idle_of(later) is None
    assert rest(later, "quiet").total is None


def test_an_idle_too_short_to_be_split_has_no_interval() -> None:
    """Neither where it was measured nor where it is used again."""
    measured = _metered(lambda t_s: 70.0, idle_s=1.5)
    idle = idle_of(measured)
    assert idle is not None and idle.u_w is None
    head = dataclasses.replace(measured.head, marks=marks(("window", 10, 19)), idle_reused=idle)
    found = rest(dataclasses.replace(measured, head=head), "idle").power_w
    assert found.repeatability_95 is None and found.interval_reason


def test_without_a_meter_there_is_no_idle_to_keep() -> None:
    """An estimate has none of its own."""
    assert idle_of(_metered(lambda t_s: 0.5, kind="model")) is None
