"""Which channel speaks for which domain of which device, what is summed, and what makes the total missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.energy.uncertainty import half_width
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Domain, Reading, SourceVerdict
from llenergymeasure.model.trace import Trace
from llenergymeasure.testing.builders import marks, session_facts, trace
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(5 * NS_PER_S, 15 * NS_PER_S)
_MODEL = CpuPowerModel(2, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "made up")

Value = Callable[[float], float]


def _channel(
    kind: ChannelKind, device: str = "GPU-1", domain: Domain = "gpu", covers: tuple[Domain, ...] = (), source: str = "s"
) -> Channel:
    model = _MODEL if kind == "model" else None
    return Channel(0, source, domain, device, device, kind, "J", 50.0, covers=covers, cpu_power_model=model)


def _trace(used: Sequence[str], *pairs: tuple[Channel, Value], verdicts: Sequence[SourceVerdict] = ()) -> Trace:
    """A trace with these devices used, an idle from 2 to 7 s, and each channel read at 50 Hz for 20 s."""
    readings = [
        Reading(step * NS_PER_S // 50, 1000, place, value(step / 50))
        for step in range(1001)
        for place, (_, value) in enumerate(pairs)
    ]
    return trace(
        (),
        readings,
        channels=tuple(dataclasses.replace(channel, id=place) for place, (channel, _) in enumerate(pairs)),
        verdicts=tuple(verdicts),
        session=session_facts(device_ids=tuple(used)),
        marks=marks(("idle", 2, 7), ("window", 7, 19)),
    )


def _joules(watts: float) -> Value:
    return lambda t_s: 1000 + watts * t_s


def test_two_gpus_are_added_and_a_third_is_a_bystander() -> None:
    """Devices that the session used are summed; the other is shown and never summed."""
    found = energy_of_window(
        _trace(
            ["GPU-1", "GPU-2"],
            (_channel("counter", "GPU-1"), _joules(100)),
            (_channel("counter", "GPU-2"), _joules(200)),
            (_channel("counter", "GPU-3"), _joules(50)),
        ),
        _WINDOW,
    )
    assert found.total_j.value == pytest.approx(3000.0)
    assert [(part.device, part.in_headline) for part in found.parts] == [("GPU-1", True), ("GPU-2", True)]
    assert [(part.device, part.in_headline) for part in found.bystanders] == [("GPU-3", False)]
    assert found.bystanders[0].gross_j.value == pytest.approx(500.0)
    assert found.scope == "gpu, metered"


def test_the_counter_speaks_for_a_device_that_also_has_power() -> None:
    """Channels of one domain are alternatives, the best kind first, never addends."""
    found = energy_of_window(
        _trace(
            ["GPU-1"],
            (_channel("power_instant"), lambda t: 90.0),
            (_channel("counter"), _joules(100)),
        ),
        _WINDOW,
    )
    assert found.total_j.value == pytest.approx(1000.0)
    assert len(found.parts) == 1
    assert found.parts[0].method.startswith("counter")


def test_power_steps_in_where_the_counter_fails_and_the_reset_is_told() -> None:
    """A counter that fell is replaced by the next best channel of its domain."""
    found = energy_of_window(
        _trace(
            ["GPU-1"],
            (_channel("counter"), lambda t: 100 * (t if t < 10 else t - 10)),
            (_channel("power_instant"), lambda t: 90.0),
        ),
        _WINDOW,
    )
    assert found.total_j.value == pytest.approx(900.0)
    assert len(found.resets) == 1


def test_a_reset_of_a_bystander_is_none_of_the_trials_business() -> None:
    """Only devices that worked can spoil a trial."""
    found = energy_of_window(
        _trace(
            ["GPU-1"],
            (_channel("counter"), _joules(100)),
            (_channel("counter", "GPU-2"), lambda t: 100 * (t if t < 10 else t - 10)),
        ),
        _WINDOW,
    )
    assert found.resets == ()
    assert found.total_j.value == pytest.approx(1000.0)


def test_disjoint_domains_of_a_device_are_added() -> None:
    """CPU work is package and memory."""
    found = energy_of_window(
        _trace(
            ["cpu"],
            (_channel("counter", "cpu", "package"), _joules(80)),
            (_channel("counter", "cpu", "dram"), _joules(20)),
        ),
        _WINDOW,
    )
    assert found.total_j.value == pytest.approx(1000.0)
    assert found.scope == "dram + package, metered"


def test_a_domain_that_another_covers_is_shown_and_not_added() -> None:
    """A module's counter holds the GPU's joules already."""
    found = energy_of_window(
        _trace(
            ["GPU-1"],
            (_channel("counter", "GPU-1", "module", covers=("gpu", "package", "dram")), _joules(150)),
            (_channel("power_instant", "GPU-1", "gpu"), lambda t: 100.0),
        ),
        _WINDOW,
    )
    assert found.total_j.value == pytest.approx(1500.0)
    assert {(part.domain, part.in_headline) for part in found.parts} == {("module", True), ("gpu", False)}
    assert found.scope == "module, metered"


def test_a_domain_that_was_read_and_gave_nothing_makes_the_total_missing() -> None:
    """Otherwise the sum would quietly be smaller than that of the next trial."""
    found = energy_of_window(
        _trace(
            ["cpu"],
            (_channel("counter", "cpu", "package"), _joules(80)),
            (_channel("counter", "cpu", "dram"), lambda t: 5.0),
        ),
        _WINDOW,
    )
    assert found.total_j.value is None
    assert "whole energy of cpu" in str(found.total_j.reason)


def test_a_used_device_without_a_channel_makes_the_total_missing() -> None:
    """Half of the devices' energy is not the trial's."""
    found = energy_of_window(_trace(["GPU-1", "GPU-2"], (_channel("counter"), _joules(100))), _WINDOW)
    assert found.total_j.value is None
    assert "GPU-2: none of the energy sources in use reads it" in str(found.total_j.reason)


def test_estimated_and_metered_energy_are_never_added() -> None:
    """A GPU's counter and a model of the CPUs, both used: no total."""
    found = energy_of_window(
        _trace(
            ["GPU-1", "cpu"],
            (_channel("counter"), _joules(100)),
            (_channel("model", "cpu", "package"), lambda t: t),
        ),
        _WINDOW,
    )
    assert found.total_j.value is None
    assert found.total_j.reason == "estimated and metered energy are never added"
    assert len(found.parts) == 2


def test_an_estimate_is_marked_and_has_bounds_only() -> None:
    """Grade C, the model's bounds as absolute interval, no repeatability and why."""
    found = energy_of_window(_trace(["cpu"], (_channel("model", "cpu", "package"), lambda t: t)), _WINDOW)
    total = found.total_j
    assert total.estimated and total.grade == "C"
    assert total.repeatability_95 is None and total.interval_reason
    assert total.absolute_95 is not None and total.value is not None
    assert total.absolute_95.low < total.value < total.absolute_95.high
    assert found.scope == "package, estimated"
    assert found.terms == ()


def test_a_metered_total_has_both_intervals_and_a_budget() -> None:
    """Gain is in the absolute interval and in the budget, and not in the repeatability."""
    channel = dataclasses.replace(_channel("counter"), stated_error=0.05)
    found = energy_of_window(_trace(["GPU-1"], (channel, _joules(100))), _WINDOW)
    repeatability, absolute = found.total_j.repeatability_95, found.total_j.absolute_95
    assert repeatability is not None and absolute is not None
    assert absolute.low < repeatability.low < 1000 < repeatability.high < absolute.high
    assert [term.name for term in found.terms][:2] == ["u_gain", "u_edge"]
    assert repeatability.high - 1000 == pytest.approx(1000 * half_width(found.terms[1:]))
    assert absolute.high - 1000 == pytest.approx(1000 * half_width(found.terms))


def test_without_any_channel_the_verdicts_are_the_reason() -> None:
    """A missing number says what was tried."""
    verdicts = [SourceVerdict("nvml", False, "no driver"), SourceVerdict("rapl", False, "root only")]
    found = energy_of_window(_trace(["GPU-1"], verdicts=verdicts), _WINDOW)
    assert found.total_j.reason == "no energy source was read (nvml: no driver; rapl: root only)"
    assert found.scope == "none"


def test_energy_that_was_not_wanted_is_missing_for_that_reason() -> None:
    """``none`` was asked for: what other sources could have read does not matter."""
    verdicts = [SourceVerdict("nvml", False, "no driver"), SourceVerdict("none", True, "asked for", chosen=True)]
    found = energy_of_window(_trace(["GPU-1"], verdicts=verdicts), _WINDOW)
    assert found.total_j.reason == "no energy was read, as asked"


def test_a_backend_that_does_not_say_what_worked_has_no_total() -> None:
    """Nothing is guessed about which devices count."""
    found = energy_of_window(_trace([], (_channel("counter"), _joules(100))), _WINDOW)
    assert found.total_j.reason == "the backend does not say which devices worked"
    assert len(found.bystanders) == 1


def test_a_device_that_no_source_reads_has_the_reasons_of_those_that_cannot_be_used() -> None:
    """The estimate reads the CPU: why the GPU's own source is not in use is part of the reason."""
    verdicts = [
        SourceVerdict("nvml", False, "GPU-1 is in MIG mode"),
        SourceVerdict("estimate", True, "CPU", chosen=True),
    ]
    pairs = ((_channel("model", "cpu", "package"), lambda t: t),)
    found = energy_of_window(_trace(["GPU-1"], *pairs, verdicts=verdicts), _WINDOW)
    assert found.total_j.value is None and "nvml: GPU-1 is in MIG mode" in str(found.total_j.reason)


@pytest.mark.parametrize(
    ("duty", "step_s", "in_pace"), [(None, 0.02, ("GPU-1",)), (None, 0.0137, ()), (None, None, ()), (0.25, 0.02, ())]
)
def test_steps_in_pace_with_a_counter_that_may_not_look_all_the_time_are_told(
    duty: float | None, step_s: float | None, in_pace: tuple[str, ...]
) -> None:
    """Nothing shows in its readings; the device is named."""
    channel = dataclasses.replace(_channel("counter"), duty=duty)
    assert energy_of_window(_trace(["GPU-1"], (channel, _joules(100))), _WINDOW, step_s).in_pace == in_pace
