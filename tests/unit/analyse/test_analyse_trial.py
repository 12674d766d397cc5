from __future__ import annotations

import pytest

from llenergymeasure.analyse.trial import analyse, divided
from llenergymeasure.errors import StoreError
from llenergymeasure.model.event import WarmupDone, WindowDone
from llenergymeasure.model.mark import Phase
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.testing.builders import joules, machine, marks, session_facts, trace
from llenergymeasure.units import NS_PER_S

_COUNTER = Channel(
    0, "nvml", "gpu", "cpu", "a device", "counter", "J", 20.0, update_period_s=0.1, stated_error=0.05, resolution=0.001
)
_STEADY_100_W = [Reading(t * NS_PER_S // 10, 0, 0, t * 10.0) for t in range(0, 151)]


def test_a_trace_without_a_meter_has_everything_but_energy() -> None:
    """Tokens, rate and latency are there; energy is missing with its reason."""
    result = analyse(trace())
    assert (result.tokens.output_tokens, result.tokens.input_tokens) == (4400, 16)
    assert result.tokens_per_second.value == pytest.approx(4400 / 12)
    assert result.latency.itl_ms.p50 == 10.0
    assert (result.method.window_s, result.method.load_s, result.method.passes) == (12.0, 1.0, 1)
    for quantity in (result.energy_per_output_token_j, result.energy_total_j, result.mean_power_w):
        assert quantity.value is None and quantity.reason
    assert result.energy.idle_power_w is None


def test_the_headline_agrees_with_itself() -> None:
    """W = J/token × tokens/s, exactly, and the intervals are divided with the value."""
    result = analyse(trace(readings=_STEADY_100_W, channels=(_COUNTER,)))
    per_token, rate, power = result.energy_per_output_token_j, result.tokens_per_second, result.mean_power_w
    assert power.value == pytest.approx(100.0, rel=1e-3)
    assert result.energy_total_j.value == pytest.approx(1200.0, rel=1e-3)
    assert per_token.value is not None and rate.value is not None and power.value is not None
    assert per_token.value * rate.value == pytest.approx(power.value, rel=1e-12)
    assert per_token.absolute_95 is not None and result.energy_total_j.absolute_95 is not None
    assert per_token.absolute_95.low == pytest.approx(result.energy_total_j.absolute_95.low / 4400)
    assert (per_token.unit, power.unit) == ("J/token", "W")
    assert "physics" not in {remark.code for remark in result.validity.remarks}


def test_the_same_trace_gives_the_same_result() -> None:
    """Nothing but the trace enters."""
    assert analyse(trace(readings=_STEADY_100_W)) == analyse(trace(readings=_STEADY_100_W))


@pytest.mark.parametrize("phases", [(), (("load", 0, 1),), (("window", 2, 2),)])
def test_without_a_window_there_is_no_result(phases: tuple[tuple[Phase, float, float], ...]) -> None:
    """Nothing to divide by is an error."""
    with pytest.raises(StoreError, match="holds no window"):
        analyse(trace(marks=marks(*phases)))


def test_a_window_without_a_token_has_no_energy_per_token() -> None:
    """Power and energy stand; what is per token is missing."""
    result = analyse(trace((), readings=_STEADY_100_W, channels=(_COUNTER,), window=WindowDone(0, True, "signal")))
    assert result.energy_per_output_token_j.reason == "no output token"
    assert result.mean_power_w.value == pytest.approx(100.0, rel=1e-3)


def test_static_batches_have_latencies_from_their_submission() -> None:
    """The session says how it batches, and latency follows."""
    result = analyse(trace(session=session_facts(batching="static")))
    assert result.latency.ttft_ms.p50 == 100.0


def test_without_a_warm_up_the_method_is_another() -> None:
    """The first request counts then."""
    assert analyse(trace()).method.measurement_methodology == "steady_state"
    cold = analyse(trace(warmup=WarmupDone(0, 0.0, None, None, "none"), marks=marks(("window", 2, 14))))
    assert (cold.method.measurement_methodology, cold.method.load_s) == ("total", None)


def test_where_a_result_comes_from_is_kept() -> None:
    """Engine, model, seed, inputs and protocol are in the provenance; lists of lengths are not."""
    result = analyse(trace(machine=machine(cpu_governor=None)))
    assert result.provenance["engine"] == "simulated" and result.provenance["seed"] == 42
    assert result.provenance["inputs"]["dataset"] == "mixed" and "lengths" not in result.provenance["inputs"]
    assert any("governor" in note for note in result.reproducibility_notes)
    assert not any("governor" in note for note in analyse(trace()).reproducibility_notes)
    assert result.environment["machine"]["logical_cpus"] == 2


@pytest.mark.parametrize(
    ("quantity", "by", "reason"),
    [
        (missing("J", "broken sensor"), 4.0, "broken sensor"),
        (joules(8.0), 0, "no token"),
        (joules(8.0), -1, "no token"),
    ],
)
def test_what_cannot_be_divided_is_missing(quantity: Quantity, by: float, reason: str) -> None:
    """The first reason is kept; over nothing there is no number."""
    found = divided(quantity, by, "J/token", "no token")
    assert (found.value, found.unit, found.reason) == (None, "J/token", reason)


def test_a_quantity_without_intervals_stays_so() -> None:
    """Division invents no uncertainty."""
    found = divided(joules(8.0), 4, "J/token", "no token")
    assert (found.value, found.unit, found.repeatability_95, found.absolute_95) == (2.0, "J/token", None, None)
