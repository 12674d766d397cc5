"""Devices that Zeus knows (AMD, Apple, Jetson, processors through its daemon), read by our meter like any other."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from llenergymeasure.clock import Clock
from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.energy.zeus_devices import Quantity, of_apple, of_daemon, of_gpu, of_jetson
from llenergymeasure.errors import EnergyError
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, Reading, Status

_NVIDIA = "NVIDIA GPUs are read by nvml: ask for zeus by name to hold the two against each other"
_POWERCAP = "the processor's counters are read by rapl; Zeus is asked for them through its daemon only"
# What goes wrong below Zeus, beside its own errors: files, answers of a daemon, values that are not there.
_BELOW = (OSError, RuntimeError, ValueError, TypeError, KeyError)


class Devices(Protocol):
    """What is used of the package: ``zeus.device``, its base error, and the driver's name for a board."""

    @property
    def error(self) -> type[Exception]:
        """The base of what Zeus raises."""

    def get_gpus(self) -> Any: ...

    def get_cpus(self) -> Any: ...

    def get_soc(self) -> Any: ...

    def uuid(self, gpu: Any) -> str:
        """The id by which backends and other sources know a board."""


class ZeusSource:
    """All that Zeus finds, but what another source reads at first hand.

    NVIDIA's boards are left out unless the source was asked for by name. The processor's counters are left out unless
    Zeus has its daemon read them: it would start a process for each counter. Zeus lists only GPUs that ``CUDA_VISIBLE_DEVICES``
    or ``HIP_VISIBLE_DEVICES`` leave visible.
    """

    def __init__(self, devices: Devices, around: Surroundings) -> None:
        self._devices = devices
        self._around = around
        self._clock: Clock = around.clock
        self._errors = (devices.error, *_BELOW)
        self._quantities: dict[tuple[str, ...], Quantity] = {}

    def channels(self) -> Sequence[Channel] | Unavailable:
        why_not: list[str] = []
        for kind, find in (("GPUs", self._gpus), ("processor", self._cpus), ("system on a chip", self._soc)):
            try:
                for quantity in find(why_not):
                    self._quantities[_key(quantity.channel)] = quantity
            except self._errors as error:
                why_not.append(f"{kind}: {str(error).rstrip('.') or type(error).__name__}")
        if not any(quantity.channel.kind in ENERGY_KINDS for quantity in self._quantities.values()):
            return Unavailable("Zeus is installed; " + "; ".join(why_not))
        return tuple(
            dataclasses.replace(quantity.channel, id=number)
            for number, quantity in enumerate(self._quantities.values())
        )

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return [self._read(channel) for channel in channels]

    def close(self) -> None:
        """Zeus keeps its handles until the process ends."""

    def _gpus(self, why_not: list[str]) -> Iterator[Quantity]:
        for gpu in self._devices.get_gpus().gpus:
            if "NVIDIA" in type(gpu).__name__ and not self._around.asked_for:
                why_not.append(_NVIDIA)
                return
            try:
                yield from self._supported(of_gpu(gpu, self._devices.uuid(gpu)))
            except self._errors as error:
                why_not.append(f"GPU {gpu.gpu_index}: {error}")

    def _cpus(self, why_not: list[str]) -> Iterator[Quantity]:
        cpus = self._devices.get_cpus()
        if all(type(cpu).__name__.startswith("Zeusd") for cpu in cpus.cpus):
            yield from self._supported(of_daemon(cpus, self._around.cpu_model))
        else:
            why_not.append(_POWERCAP)

    def _soc(self, why_not: list[str]) -> Iterator[Quantity]:
        soc = self._devices.get_soc()
        makers: dict[str, Callable[[Any], Iterator[Quantity]]] = {"AppleSilicon": of_apple, "Jetson": of_jetson}
        maker = makers.get(type(soc).__name__)
        if maker is None:
            why_not.append(f"{type(soc).__name__} is not known here")
        else:
            yield from self._supported(maker(soc))

    def _supported(self, quantities: Iterable[Quantity]) -> Iterator[Quantity]:
        """Those that the device has, by one read of each; what merely fails now is kept."""
        for quantity in quantities:
            try:
                quantity.read()
            except self._errors as error:
                if _status(error) is Status.NOT_SUPPORTED:
                    continue
            yield quantity

    def _read(self, channel: Channel) -> Reading:
        began_ns = self._clock.now_ns()
        try:
            value, status = float(self._quantities[_key(channel)].read()), Status.OK
            if not math.isfinite(value) or value < 0:
                value, status = math.nan, Status.FAILED
        except self._errors as error:
            value, status = math.nan, _status(error)
        t_ns = self._clock.now_ns()
        return Reading(t_ns, t_ns - began_ns, channel.id, value, status)


def _status(error: Exception) -> Status:
    name = type(error).__name__
    if name == "ZeusGPUNotSupportedError":
        return Status.NOT_SUPPORTED
    if name in ("ZeusGPULostError", "ZeusGPUNotFoundError", "ZeusGPUResetRequiredError"):
        return Status.DEVICE_LOST
    return Status.FAILED


def _key(channel: Channel) -> tuple[str, ...]:
    return channel.device, channel.domain, channel.kind


class _Installed:
    """The installed package. Raises ``ImportError``."""

    def __init__(self) -> None:
        # A library that is not there makes a package below Zeus print.
        with contextlib.redirect_stdout(io.StringIO()):
            import zeus.device
            import zeus.exception
        self.error: type[Exception] = zeus.exception.ZeusBaseError
        self.get_gpus: Callable[[], Any] = zeus.device.get_gpus
        self.get_cpus: Callable[[], Any] = zeus.device.get_cpus
        self.get_soc: Callable[[], Any] = zeus.device.get_soc

    def uuid(self, gpu: Any) -> str:
        if "NVIDIA" in type(gpu).__name__:
            import pynvml

            return str(pynvml.nvmlDeviceGetUUID(gpu.handle))
        import amdsmi

        return str(amdsmi.amdsmi_get_gpu_device_uuid(gpu.handle))


def open_source(around: Surroundings) -> EnergySource:
    """The installed Zeus. Raises ``EnergyError`` when there is none, or a package with its name that is another."""
    try:
        return ZeusSource(_Installed(), around)
    except (ImportError, AttributeError) as error:
        raise EnergyError(f"Zeus cannot be imported: {error}", hint="pip install 'llenergymeasure[zeus]'") from error
