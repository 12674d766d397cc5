"""Our meter process on boards that go wrong, in real time: what it reads, turned into the energy of a window."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.meter.binary import read_readings
from llenergymeasure.model.event import Metered, read_events
from llenergymeasure.model.folder import JOB, METER_EVENTS, METER_READINGS
from llenergymeasure.model.job import Metering, MeterJob, job_text
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Readout
from llenergymeasure.testing.virtual_gpu import faults as wrong
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu
from llenergymeasure.testing.virtual_gpu.faults import CallSpikes, CounterReset, Disappears, Refused, Zeros
from llenergymeasure.testing.virtual_gpu.native.driver import virtual_driver
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.workload import Workload
from llenergymeasure.units import s_to_ns

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the library stands for a driver under Linux")

HEALTHY, RESET, SILENT, SLOW, GONE = (f"GPU-00000000-0000-0000-0000-00000000000{number}" for number in range(1, 6))
# The meter needs a second or two to start; the window lies well after that.
BEGIN_S, END_S, STOP_S = 4.0, 6.0, 7.2


@pytest.fixture(scope="module")
def metered(tmp_path_factory):
    """(the energy of a 2 s window by board, the truth of each): one meter process read them all."""
    folder = tmp_path_factory.mktemp("meter")
    begin_ns = time.monotonic_ns()

    def at(seconds):
        return begin_ns + s_to_ns(seconds)

    board_faults = {
        HEALTHY: (),
        RESET: (CounterReset(at(5.0)), Refused(wrong.INSTANT, at(0), at(60)), Refused(wrong.USAGE, at(0), at(60))),
        SILENT: (
            Zeros(wrong.COUNTER, at(4.5), at(60)),
            Zeros(wrong.INSTANT, at(4.5), at(60)),
            Zeros(wrong.USAGE, at(4.5), at(60)),
        ),
        SLOW: (CallSpikes(share=0.01),),
        GONE: (Disappears(at(5.0)),),
    }
    phases = [H100_SXM.idle(BEGIN_S), H100_SXM.decode(END_S - BEGIN_S, 0.03), H100_SXM.idle(60.0)]
    gpus = [
        VirtualGpu(
            H100_SXM, Workload.of(begin_ns, phases, H100_SXM.thermal), H100_SXM.sensors(seed=place), uuid, faults
        )
        for place, (uuid, faults) in enumerate(board_faults.items())
    ]
    window = Interval(at(BEGIN_S), at(END_S))
    with virtual_driver(gpus, folder, begin_ns=begin_ns, horizon_s=60.0) as driver:
        (folder / JOB).write_text(job_text(MeterJob(Metering(("nvml",)))))
        command = [sys.executable, "-m", "llenergymeasure.meter", str(folder), str(os.getpid())]
        meter = subprocess.Popen(command, env=dict(driver.environment), stderr=subprocess.PIPE, text=True)
        time.sleep(max(0, at(STOP_S) - time.monotonic_ns()) / 1e9)
        meter.terminate()
        _, errors = meter.communicate(timeout=20)
        assert meter.returncode == 0, errors
        truths = {gpu.uuid: driver.truth_j(place, window.begin_ns, window.end_ns) for place, gpu in enumerate(gpus)}
    found = next(event for event in read_events(folder / METER_EVENTS) if isinstance(event, Metered))
    readings = read_readings(folder / METER_READINGS)
    energies = {
        uuid: energy_of_window(Readout(found.channels, found.verdicts, readings, (uuid,)), window) for uuid in truths
    }
    return energies, truths


@pytest.mark.parametrize("uuid", [HEALTHY, SLOW])
def test_a_board_that_works_gives_its_joules(metered, uuid):
    """Also one whose calls are slow now and then: the truth lies within the stated interval."""
    energies, truths = metered
    total = energies[uuid].total_j
    assert total.value == pytest.approx(truths[uuid], rel=0.1)
    assert total.absolute_95.low <= truths[uuid] <= total.absolute_95.high


@pytest.mark.parametrize("uuid", [RESET, SILENT, GONE])
def test_a_board_that_fails_gives_a_reason(metered, uuid):
    """A reset, zeros and a lost board leave no energy in the window, and say why: never less, and never 0."""
    total = metered[0][uuid].total_j
    assert total.value is None
    assert total.reason


def test_a_reset_is_told_apart(metered):
    """The counter that fell is named as such, and no other board's is."""
    energies, _ = metered
    assert [uuid for uuid, energy in energies.items() if energy.resets] == [RESET]
