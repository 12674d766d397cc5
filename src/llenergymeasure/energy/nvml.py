"""NVIDIA GPUs through the driver's management library (NVML)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.energy.nvml_device import quantities_of
from llenergymeasure.energy.nvml_reads import BadValue, Quantity
from llenergymeasure.energy.own_processes import IsOurs, OwnProcesses, cannot_tell
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Reading, Status

_NO_LIBRARY = "install the NVIDIA driver; in a container, start it with --gpus all"


class NvmlSource:
    """All GPUs that the driver shows, whatever ``CUDA_VISIBLE_DEVICES`` says: those not used are bystanders.

    ``nvml`` is the module ``pynvml`` or an object with its functions and constants; ``is_ours`` tells the measurement's processes
    from others on a board. NVML itself is thread-safe.
    """

    def __init__(self, nvml: Any, clock: Clock, is_ours: IsOurs = cannot_tell) -> None:
        self._nvml = nvml
        self._clock = clock
        self._is_ours = is_ours
        self._open = False
        self._quantities: dict[tuple[str, ...], Quantity] = {}

    def channels(self) -> Sequence[Channel] | Unavailable:
        try:
            self._nvml.nvmlInit()
            self._open = True
            count = self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError as error:
            return self._no_driver(error)
        if count == 0:
            return Unavailable("the NVIDIA driver lists no GPU")
        found: list[Channel] = []
        silent: list[str] = []
        for index in range(count):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                here = self._supported(quantities_of(self._nvml, handle, self._is_ours))
            except (self._nvml.NVMLError, BadValue) as error:
                silent.append(f"GPU {index}: {error}")
                continue
            if not any(quantity.channel.kind in ENERGY_KINDS for quantity in here):
                silent.append(f"GPU {index}: the driver gives neither its energy nor its power")
                continue
            for quantity in here:
                self._quantities[_key(quantity.channel)] = quantity
                found.append(quantity.channel)
        if not found:
            return Unavailable("; ".join(silent))
        return tuple(dataclasses.replace(channel, id=number) for number, channel in enumerate(found))

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return [self._read(channel) for channel in channels]

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError:
                return

    def _read(self, channel: Channel) -> Reading:
        began_ns = self._clock.now_ns()
        try:
            value, status = self._quantities[_key(channel)].read(began_ns), Status.OK
        except self._nvml.NVMLError as error:
            value, status = math.nan, self._status(error)
        except BadValue:
            value, status = math.nan, Status.FAILED
        t_ns = self._clock.now_ns()
        return Reading(t_ns, t_ns - began_ns, channel.id, value, status)

    def _supported(self, quantities: Iterable[Quantity]) -> list[Quantity]:
        """Those that the device has, by one read of each; what merely fails now is kept."""
        kept: dict[tuple[str, ...], Quantity] = {}
        for quantity in quantities:
            if _key(quantity.channel) in kept:
                continue
            try:
                quantity.read(self._clock.now_ns())
            except self._nvml.NVMLError as error:
                if self._status(error) is Status.NOT_SUPPORTED:
                    continue
            except BadValue:
                pass
            kept[_key(quantity.channel)] = quantity
        return list(kept.values())

    def _status(self, error: Exception) -> Status:
        code = getattr(error, "value", None)
        nvml = self._nvml
        if code in (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_INVALID_ARGUMENT,  # a field that the driver is too old to know
            nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        ):
            return Status.NOT_SUPPORTED
        if code in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED, nvml.NVML_ERROR_GPU_NOT_FOUND):
            return Status.DEVICE_LOST
        return Status.FAILED

    def _no_driver(self, error: Exception) -> Unavailable:
        code = getattr(error, "value", None)
        if code == self._nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
            return Unavailable("there is no NVIDIA driver here: libnvidia-ml.so.1 was not found", _NO_LIBRARY)
        if code == self._nvml.NVML_ERROR_DRIVER_NOT_LOADED:
            return Unavailable(
                "the NVIDIA driver is installed but not loaded", "load it: nvidia-smi shows whether it works"
            )
        return Unavailable(f"the NVIDIA driver answers: {error}", "nvidia-smi shows whether the driver works")


def _key(channel: Channel) -> tuple[str, ...]:
    return channel.device, channel.domain, channel.kind, channel.detail


def open_source(around: Surroundings) -> EnergySource:
    """The GPUs of this machine. Raises ``EnergyError`` when the vendor's binding cannot be imported."""
    try:
        import pynvml
    except ImportError as error:
        raise EnergyError(f"nvidia-ml-py cannot be imported: {error}", hint="pip install nvidia-ml-py") from error
    return NvmlSource(pynvml, around.clock, OwnProcesses(around.worker_pid))
