from __future__ import annotations

import dataclasses

import pytest

from llenergymeasure.analyse.trial import analyse, divided
from llenergymeasure.data.device_peaks import DevicePeaks
from llenergymeasure.errors import StoreError
from llenergymeasure.model.event import WarmupDone, WindowDone
from llenergymeasure.model.job import ModelRef, Setting
from llenergymeasure.model.machine import Architecture, GitState, Gpu
from llenergymeasure.model.mark import Phase
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.testing.builders import joules, machine, marks, session_facts, trace, trial_job
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
    assert result.energy.baseline_power_w.idle.value is None


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
    assert result.environment.engine == "simulated" and result.provenance["seed"] == 42
    assert "path" not in result.provenance["model"]
    assert result.provenance["inputs"]["dataset"] == "mixed" and "lengths" not in result.provenance["inputs"]
    assert result.environment.machine is not None and result.environment.machine.logical_cpus == 2


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


def _board(device: str, watts: float, place: int) -> tuple[Channel, list[Reading]]:
    channel = dataclasses.replace(_COUNTER, id=place, device=device)
    return channel, [Reading(t * NS_PER_S // 10, 0, place, t * watts / 10) for t in range(0, 181)]


def test_energy_by_device_at_rest_and_while_loading() -> None:
    """Two boards that worked are named; rest, load and net energy come from the same readings; a bystander has no net."""
    boards = [_board("GPU-1", 100.0, 0), _board("GPU-2", 200.0, 1), _board("GPU-3", 50.0, 2)]
    result = analyse(
        trace(
            readings=sorted((reading for _, readings in boards for reading in readings), key=lambda one: one.t_ns),
            channels=tuple(channel for channel, _ in boards),
            session=session_facts(device_ids=("GPU-1", "GPU-2")),
            marks=marks(("idle", 1, 2), ("load", 2, 3), ("idle_loaded", 3, 4), ("window", 4, 14), ("quiet", 14, 15)),
        )
    )
    assert result.energy.energy_per_device_j == {"GPU-1": pytest.approx(1000.0), "GPU-2": pytest.approx(2000.0)}
    assert result.multi_gpu is not None and result.multi_gpu.num_gpus == 2
    assert result.multi_gpu.energy_total_j == pytest.approx(3000.0)
    assert result.energy.load_energy_j.value == pytest.approx(300.0)
    power = result.energy.baseline_power_w
    assert [rest.value for rest in (power.idle, power.idle_loaded, power.quiet)] == [pytest.approx(300.0)] * 3
    assert "idle is 100 % of gross" in str(result.energy_adjusted_j.reason)
    assert [part.net_j.reason for part in result.energy.bystanders] == ["it did not work"]
    assert result.energy.prefill_j.reason == result.energy.decode_j.reason and result.energy.prefill_j.reason


def test_a_part_that_another_covers_is_not_counted_twice_for_its_device() -> None:
    """A module's joules hold the GPU's."""
    module = dataclasses.replace(_COUNTER, id=1, domain="module", covers=("gpu",))
    readings = [Reading(t * NS_PER_S // 10, 0, place, t * 10.0) for t in range(0, 151) for place in (0, 1)]
    result = analyse(trace(readings=readings, channels=(_COUNTER, module)))
    assert result.energy.energy_per_device_j == {"cpu": pytest.approx(1200.0)}
    assert {part.domain: part.in_headline for part in result.energy.domains} == {"module": True, "gpu": False}


@pytest.mark.parametrize(("steady", "span"), [(True, (2.0, 14.0)), (False, None), (None, None)])
def test_the_steady_part_of_the_trial(steady: bool | None, span: tuple[float, float] | None) -> None:
    """The window, where the warm-up before it was judged steady; in seconds since the first mark."""
    method = analyse(trace(warmup=WarmupDone(5, 1.0, steady, 0.01, "pool"))).method
    assert [(one.begin_s, one.end_s) for one in method.windows] == [(2.0, 14.0)]
    found = method.steady_state_window
    assert (None if found is None else (found.begin_s, found.end_s)) == span


def test_the_state_of_the_study_file_and_the_settings_are_in_the_environment() -> None:
    """As the job carries them."""
    job = trial_job(study_git=GitState("c0ffee", True), settings=(Setting("a.b", 1, "flag"),), runner="venv:x")
    environment = analyse(trace(job=job)).environment
    assert environment.study_git is not None
    assert (environment.study_git.commit, environment.study_git.dirty) == ("c0ffee", True)
    assert environment.settings == ({"key": "a.b", "value": 1, "origin": "flag"},)
    assert environment.runner == "venv:x"
    assert analyse(trace()).environment.study_git is None


def test_peaks_are_handed_in() -> None:
    """Without a table there is no share of a peak; with one there is."""
    shape = Architecture("llama", 2, 64, 4, 2, 16, 100, 1000, 10, 10, 1, True)
    parts = {
        "job": trial_job(model=ModelRef("m", "/nowhere", "directory", architecture=shape)),
        "session": session_facts(device_ids=("GPU-1",), precision="bf16"),
        "machine": machine(gpus=(Gpu("GPU-1", "NVIDIA A"),)),
    }
    assert analyse(trace(**parts)).compute.mfu is None
    assert analyse(trace(**parts), {"A": DevicePeaks("A", {"bf16": 1e12}, 1e12, "a sheet")}).compute.mfu is not None
