"""What other tools say of the whole trial."""

from __future__ import annotations

import math

import pytest

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.energy.witness import witnesses
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Reading, Readings, Readout, Status
from llenergymeasure.units import NS_PER_S


def _channel(number: int, unit: str) -> Channel:
    return Channel(number, "codecarbon", "node", "codecarbon", "CodeCarbon: RAM()", "witness", unit, 0.2)


def _readout(*readings: tuple[float, int, float], grams: bool = True) -> Readout:
    """Readings as (second, channel, value); one without a value failed."""
    channels = (_channel(0, "J"), _channel(1, "g")) if grams else (_channel(0, "J"),)
    kept = [
        Reading(round(at_s * NS_PER_S), 0, channel, value, Status.FAILED if math.isnan(value) else Status.OK)
        for at_s, channel, value in readings
    ]
    return Readout(channels, (), Readings.of(kept), ("cpu",))


def test_a_witness_speaks_for_the_time_from_its_first_to_its_last_good_reading() -> None:
    """Counts are differences; readings that failed are passed over."""
    (found,) = witnesses(
        _readout((1, 0, 100.0), (1, 1, 2.0), (6, 0, 400.0), (6, 1, 3.5), (11, 0, math.nan), (11, 1, math.nan))
    )
    assert (found.source, found.scope, found.says) == ("codecarbon", "trial", "CodeCarbon: RAM()")
    assert (found.energy_j, found.co2e_g, found.duration_s) == (300.0, 1.5, 5.0)
    assert found.reason is None


def test_grams_without_a_country_are_missing_with_a_reason() -> None:
    """Energy is there all the same."""
    (found,) = witnesses(_readout((1, 0, 1.0), (2, 0, 5.0), grams=False))
    assert (found.energy_j, found.co2e_g) == (4.0, None)
    assert found.reason == "no CO2e: its settings name no country"


def test_a_witness_that_was_heard_once_says_nothing() -> None:
    """One reading is no difference: missing, never 0."""
    (found,) = witnesses(_readout((1, 0, 1.0), grams=False))
    assert (found.energy_j, found.duration_s) == (None, None)
    assert found.reason is not None and found.reason.startswith("no energy: it answered less than twice")


def test_a_tool_that_counted_nothing_counted_nothing() -> None:
    """A difference of 0 is what it said, and is kept."""
    (found,) = witnesses(_readout((1, 0, 1.0), (1, 1, 0.0), (2, 0, 1.0), (2, 1, 0.0)))
    assert (found.energy_j, found.co2e_g, found.reason) == (0.0, 0.0, None)


def test_nothing_of_a_witness_enters_our_energy() -> None:
    """With a witness alone there is no total, no part and no sum over the node."""
    energy = energy_of_window(_readout((1, 0, 1.0), (9, 0, 900.0)), Interval(2 * NS_PER_S, 8 * NS_PER_S))
    assert energy.total_j.value is None
    assert (energy.parts, energy.bystanders) == ((), ())
    assert energy.node_j.value is None


def test_without_a_witness_there_is_none() -> None:
    """Other channels are no witnesses."""
    meter = Channel(0, "nvml", "gpu", "GPU-1", "a GPU", "counter", "J", 50.0)
    assert witnesses(Readout((meter,), (), Readings(), ("GPU-1",))) == ()
    assert len(witnesses(_readout())) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_each_tool_is_a_witness_of_its_own(order: tuple[int, int]) -> None:
    """In the order in which they are read."""
    tools = (_channel(0, "J"), Channel(1, "other", "node", "other", "Other tool", "witness", "J", 1.0))
    readout = Readout(tuple(tools[place] for place in order), (), Readings(), ())
    assert [found.source for found in witnesses(readout)] == [tools[place].source for place in order]
