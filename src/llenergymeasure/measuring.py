"""``measure()``: the meter, its sources and their uncertainty, around code of one's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ContextDecorator
from pathlib import Path
from types import TracebackType

from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.analyse.validity import metering_remarks
from llenergymeasure.clock import Clock, MonotonicClock
from llenergymeasure.energy.select import AUTO
from llenergymeasure.energy.visible import Gpu, visible_gpus
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.meter.binary import read_readings
from llenergymeasure.model.event import Child, ClockTriple, EventLog, Metered, read_events
from llenergymeasure.model.folder import DRIVER_EVENTS, JOB, METER_EVENTS, METER_LOG, METER_READINGS
from llenergymeasure.model.job import Metering, MeterJob, job_text
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Readings, Readout
from llenergymeasure.schema.energy import DomainEnergy
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.schema.validity import Validity
from llenergymeasure.study.options import settings_here

_START_S, _STOP_S, _POLL_S = 20.0, 5.0, 0.02

# Power beside the block says what of its first and last tick belongs to it: it is read for so many ticks, at least for so long.
# Sensors lag and average: after the block until they have shown all of it.
_BESIDE_TICKS, _BESIDE_S = 5, 1.0

_GPU_DOMAINS = ("gpu", "module")


class measure(ContextDecorator):
    """Measures the energy of a block, or of each call of a decorated function (the figures are those of the last call).

    ``devices``: what to measure, by the names that ``channels`` shows (a GPU's UUID, ``cpu``) or by the driver's index; ``None``
    is every accelerator that this process can see, else the CPU package. ``source`` as in ``llem run --energy``. After it:

    - ``energy_j``: a ``Quantity`` in J, its value ``None`` with a reason where it is not known; never 0 for that;
    - ``duration_s``; ``channels``: one entry a domain of a device that counts; ``bystanders``: the others, never summed;
    - ``validity``: remarks with their evidence.

    The meter is a process of its own and takes about two seconds to start and to end, outside of the block. Work that is still on
    a GPU when the block begins or ends is waited for if PyTorch put it there. Raises ``EnergyError`` for a source or a device
    that cannot be read.
    """

    def __init__(self, devices: Sequence[str | int] | None = None, *, source: str | None = None) -> None:
        self._devices = devices
        self._source = source
        self._clock: Clock = MonotonicClock()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._meter: subprocess.Popen[bytes] | None = None
        self._began_ns = 0
        self._used: tuple[str, ...] = ()
        self._named = False
        self._beside_s = 0.0
        self.energy_j: Quantity = missing("J", "the block has not ended")
        self.duration_s: float | None = None
        self.channels: tuple[DomainEnergy, ...] = ()
        self.bystanders: tuple[DomainEnergy, ...] = ()
        self.validity = Validity(valid=False, remarks=())

    def __enter__(self) -> measure:
        if self._scratch is not None:
            raise LLEMError("this measurement is running already", hint="make one measure() for each block")
        self._scratch = tempfile.TemporaryDirectory(prefix="llem-measure-")
        try:
            channels = self._start(Path(self._scratch.name))
            self._used = counted(channels, self._devices, os.environ)
            self._beside_s = beside_s(channels, None if self._named else self._used)
            self._clock.sleep(self._beside_s)
        except BaseException:
            self._end()
            raise
        _finish_gpu_work()
        self._began_ns = self._clock.now_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._scratch is not None
        try:
            _finish_gpu_work()
            window = Interval(self._began_ns, self._clock.now_ns())
            self._clock.sleep(self._beside_s)
            self._stop()
            self._read(Path(self._scratch.name), window)
        finally:
            self._end()

    def _start(self, folder: Path) -> tuple[Channel, ...]:
        """Start the meter and wait until it has read every channel once."""
        source = self._source or settings_here({}).values.measurement.energy_source
        self._named = source != AUTO
        (folder / JOB).write_text(job_text(MeterJob(Metering(tuple(source.split(","))))), encoding="utf-8")
        log = EventLog.append_to(folder / DRIVER_EVENTS)
        log.write(Child("worker", os.getpid(), self._clock.now_ns()))
        log.close()
        command = [sys.executable, "-m", "llenergymeasure.meter", str(folder), str(os.getpid())]
        with open(folder / METER_LOG, "ab") as output:
            self._meter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline_ns = self._clock.now_ns() + int(_START_S * 1e9)
        while True:
            for event in read_events(folder / METER_EVENTS):
                if isinstance(event, Metered):
                    return event.channels
            if self._meter.poll() is not None or self._clock.now_ns() > deadline_ns:
                raise EnergyError(f"the meter did not start: {_first_line(folder / METER_LOG)}")
            self._clock.sleep(_POLL_S)

    def _stop(self) -> None:
        """Ask the meter for its last readings."""
        assert self._meter is not None
        if self._meter.poll() is None:
            self._meter.send_signal(signal.SIGTERM)
        try:
            self._meter.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._meter.kill()
            self._meter.wait()

    def _read(self, folder: Path, window: Interval) -> None:
        events = tuple(read_events(folder / METER_EVENTS))
        # Written again when a source breaks its contract: the last one counts.
        metered = next(event for event in reversed(events) if isinstance(event, Metered))
        readings: Readings = read_readings(folder / METER_READINGS)
        readout = Readout(metered.channels, metered.verdicts, readings, self._used)
        energy: TrialEnergy = energy_of_window(readout, window)
        remarks = tuple(
            metering_remarks(readout, energy, tuple(event for event in events if isinstance(event, ClockTriple)))
        )
        self.energy_j, self.duration_s = energy.total_j, window.duration_s
        self.channels, self.bystanders = _without_net(energy.parts), _without_net(energy.bystanders)
        self.validity = Validity(valid=all(remark.severity != "error" for remark in remarks), remarks=remarks)

    def _end(self) -> None:
        if self._meter is not None and self._meter.poll() is None:
            self._meter.kill()
            self._meter.wait()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._scratch = self._meter = None


def _without_net(parts: Sequence[DomainEnergy]) -> tuple[DomainEnergy, ...]:
    reason = missing("J", "no idle power is measured around a block")
    return tuple(part.model_copy(update={"net_j": reason}) for part in parts)


def counted(
    channels: Sequence[Channel], wanted: Sequence[str | int] | None, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """The devices whose energy counts, of those that are read. Raises ``EnergyError`` for one that is not."""
    read = tuple(dict.fromkeys(channel.device for channel in channels if channel.kind in ENERGY_KINDS))
    names = {channel.device: channel.device_name for channel in channels if channel.domain in _GPU_DOMAINS}
    gpus = tuple(Gpu(device, names[device]) for device in read if device in names)
    if wanted is None:
        return visible_gpus(gpus, environment) or tuple(device for device in read if device == "cpu")
    return tuple(_device(one, read, gpus) for one in wanted)


def beside_s(channels: Sequence[Channel], used: Sequence[str] | None) -> float:
    """How long the meters of the devices are read before and after a block; ``None``: of all, as where a source was named."""
    meters = [
        one
        for one in channels
        if (used is None or one.device in used) and one.kind in ENERGY_KINDS and one.kind != "model"
    ]
    if not meters:
        return 0.0
    ticks_s = max(_BESIDE_TICKS * max(one.update_period_s or 0.0, 1 / one.rate_hz) for one in meters)
    late_s = max((one.lag_s or 0.0) + (one.averaging_s or 0.0) for one in meters)
    return max(_BESIDE_S, ticks_s, 1.2 * late_s)


def _device(wanted: str | int, read: Sequence[str], gpus: Sequence[Gpu]) -> str:
    if isinstance(wanted, int) and 0 <= wanted < len(gpus):
        return gpus[wanted].device
    if wanted in read:
        return str(wanted)
    raise EnergyError(f"no energy can be read of device {wanted!r}", hint=f"can be read: {', '.join(read) or 'none'}")


def _finish_gpu_work() -> None:
    """Wait for what PyTorch has put on its GPU. Without it, or before it has used one, there is nothing to wait for."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0] or "it took too long"
