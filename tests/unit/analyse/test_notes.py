"""What is and is not controlled, in words."""

from __future__ import annotations

import pytest

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.analyse.notes import notes
from llenergymeasure.model.job import Decoder
from llenergymeasure.model.machine import Gpu
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, CpuPowerModel, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.testing.builders import machine, session_facts, trace, trial_job
from llenergymeasure.units import NS_PER_S

_MODEL = CpuPowerModel(2, (10.0, 40.0), (0.1, 0.3), (0.5, 1.0), "a guess")
_COUNTER = Channel(0, "nvml", "gpu", "GPU-1", "a board", "counter", "J", 20.0, stated_error=0.05)
_SILENT = Channel(0, "nvml", "gpu", "GPU-1", "a board", "counter", "J", 20.0)
_ESTIMATE = Channel(0, "estimate", "package", "GPU-1", "a CPU", "model", "s", 10.0, cpu_power_model=_MODEL)
_COVERED = Channel(1, "nvml", "module", "GPU-1", "a board", "counter", "J", 20.0, covers=("gpu",), stated_error=0.02)


def _notes(*channels: Channel, gpu: Gpu | None = None, **changes: object) -> str:
    readings = [
        Reading(step * NS_PER_S // 10, 0, channel.id, step * 10.0) for step in range(151) for channel in channels
    ]
    found = trace(
        (),
        readings,
        **{
            "channels": channels,
            "session": session_facts(device_ids=("GPU-1",)),
            "machine": machine(gpus=() if gpu is None else (gpu,)),
        }
        | changes,
    )
    return "\n".join(_of(found))


def _of(found: Trace) -> tuple[str, ...]:
    return tuple(notes(found, energy_of_window(found, Interval(2 * NS_PER_S, 14 * NS_PER_S))))


def test_each_source_that_counts_says_how_it_speaks() -> None:
    """Method and stated error of what is in the headline; what another covers is left out."""
    assert "joules of gpu from nvml (counter, tick-edged); its maker states ±5 %" in _notes(_COUNTER)
    assert "its maker states no error" in _notes(_SILENT)
    both = _notes(_COUNTER, _COVERED)
    assert "joules of module" in both and "joules of gpu" not in both


def test_an_estimate_says_what_it_rests_on() -> None:
    """Bounds, and where the power comes from."""
    found = _notes(_ESTIMATE)
    assert "bounds from CPU time" in found and "the model's power: a guess" in found


def test_no_energy_is_said_with_its_reason() -> None:
    """A reader of the notes need not look elsewhere."""
    assert "no energy: no energy source was read" in _notes()


@pytest.mark.parametrize(
    ("gpu", "said"),
    [
        (Gpu("GPU-1", "G", power_limit_w=300.0), "G: power limit 300 W"),
        (Gpu("GPU-1", "G"), "G: clocks were not controlled"),
        (
            Gpu("GPU-1", "G", sm_clock_max_mhz=1980, application_sm_clock_mhz=1500),
            "G: clocks up to 1980 MHz, 1500 MHz asked for",
        ),
    ],
)
def test_limits_and_clocks_of_the_gpus_that_worked(gpu: Gpu, said: str) -> None:
    """As the driver gives them; a GPU that did not work is not spoken of."""
    assert said in _notes(gpu=gpu)
    assert "G:" not in _notes(gpu=gpu, session=session_facts(device_ids=("cpu",)))


@pytest.mark.parametrize(
    ("governor", "said"), [("performance", "governor was performance"), (None, "governor could not be read")]
)
def test_the_governor_of_the_cpu(governor: str | None, said: str) -> None:
    """Read, or said not to be."""
    assert said in _notes(machine=machine(cpu_governor=governor))


def test_sampling_says_what_a_seed_is_worth() -> None:
    """Greedy decoding needs no seed to be the same again."""
    assert "sampling with seed 42" in _notes(job=trial_job(decoder=Decoder("sampling")))
    assert "greedy decoding; seed 42" in _notes()
