from __future__ import annotations

from dataclasses import replace

import pytest

from llenergymeasure.backends.memory import MemoryNeed, NotForeseen, Workload
from llenergymeasure.config.backend_section import spec_of
from llenergymeasure.model.job import ModelRef
from llenergymeasure.plan.forecast import forecast_memory, totals, verdict
from llenergymeasure.plan.forecast_time import TimeForecast

_NEED = MemoryNeed(engine_bytes=100, weights_bytes=500, kv_bytes=100, working_bytes=50, loading_bytes=600)
_WORKLOAD = Workload(ModelRef("m", "/m", "directory"), "real", "bf16", "cpu", None, 1, 1, 1)


@pytest.mark.parametrize(
    ("available", "expected"), [(750, "tight"), (749, "will not fit"), (833, "tight"), (834, "fits"), (10_000, "fits")]
)
def test_the_verdict_leaves_room_for_the_forecasts_own_error(available: int, expected: str) -> None:
    """More than there is does not fit; more than nine tenths of it is tight."""
    assert verdict(_NEED.peak_bytes, available) == expected


def test_the_peak_is_that_of_loading_or_of_running() -> None:
    """Whichever holds more counts, over the bare engine."""
    assert (_NEED.added_bytes, _NEED.peak_bytes) == (650, 750)
    assert replace(_NEED, loading_bytes=900).added_bytes == 900


def test_a_forecast_compares_the_need_with_the_device() -> None:
    """The need comes from the backend's own account."""
    spec = replace(spec_of("pytorch"), memory=lambda workload: _NEED)
    found = forecast_memory(spec, _WORKLOAD, 700, "")
    assert (found.verdict, found.need, found.available_bytes) == ("will not fit", _NEED, 700)


def test_what_is_not_known_is_unknown_with_its_reason() -> None:
    """No account, a declined one, or a device of unknown size: each says why."""
    spec = spec_of("pytorch")
    silent = forecast_memory(replace(spec, memory=None), _WORKLOAD, 700, "")
    declined = forecast_memory(replace(spec, memory=lambda workload: NotForeseen("odd model")), _WORKLOAD, 700, "")
    nowhere = forecast_memory(replace(spec, memory=lambda workload: _NEED), _WORKLOAD, None, "no such device")
    assert [found.verdict for found in (silent, declined, nowhere)] == ["unknown"] * 3
    assert (declined.reason, nowhere.reason) == ("odd model", "no such device")
    assert "pytorch" in silent.reason
    assert nowhere.need == _NEED


def _time(seconds: float | None, joules: float | None) -> TimeForecast:
    return TimeForecast(seconds, joules, "", False)


def test_totals_hold_all_trials_and_their_pauses() -> None:
    """Every experiment in every cycle, a pause between trials and a longer one between cycles."""
    whole = totals([_time(10, 100), _time(20, 50)], 3, config_gap_seconds=1, cycle_gap_seconds=5)
    assert whole.seconds == 3 * 30 + 3 * 1 + 2 * 5
    assert whole.joules == 450
    assert (whole.untimed, whole.unmetered) == (0, 0)


def test_trials_without_a_forecast_are_counted_apart() -> None:
    """A missing forecast is never taken as nothing."""
    whole = totals([_time(10, None), _time(None, None)], 2)
    assert (whole.seconds, whole.untimed) == (20, 2)
    assert (whole.joules, whole.unmetered) == (None, 4)
    assert totals([_time(None, None)], 1).seconds is None
