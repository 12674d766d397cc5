"""What Zeus's device objects give, as channels: GPUs, systems on a chip, and processors through its daemon.

Only what Zeus reads from a device is used. Its windows, and the energies that it integrates or approximates itself, are not: the
meter does that, and knows how sure it is. Objects are told apart by the names of their classes, so that nothing is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.model.reading import Channel, ChannelKind, Domain

# Zeus's devices answer within about a millisecond; Apple's report takes several.
_FAST_HZ, _SLOW_HZ, _SLOWEST_HZ = 50.0, 10.0, 1.0
_MILLI = 1000.0

_ONE_MEASUREMENT: tuple[tuple[str, Domain, str], ...] = (
    ("cpu_total_mj", "package", "cpu"),
    ("dram_mj", "dram", "cpu"),
    ("gpu_mj", "gpu", "mps:0"),
)
_RAILS: tuple[tuple[str, Domain, str], ...] = (
    ("cpu_power_mw", "package", "cpu"),
    ("gpu_power_mw", "gpu", "jetson"),
    ("total_power_mw", "module", "jetson"),
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A channel and how its value is read, in the channel's unit. Raises what Zeus raises."""

    channel: Channel
    read: Callable[[], float]


def of_gpu(gpu: Any, uuid: str) -> Iterator[Quantity]:
    """A board: its counter where Zeus found one that follows its power, its power, and its temperature.

    The counter of a Grace Hopper is that of the whole module.
    """
    name = str(gpu.get_name())
    domain: Domain = "module" if getattr(gpu, "_is_grace_hopper", False) else "gpu"

    def quantity(kind: ChannelKind, unit: str, read: Callable[[], Any], hz: float = _FAST_HZ) -> Quantity:
        if unit == "°C":
            return _quantity("gpu", uuid, name, kind, unit, lambda: float(read()), hz)
        return _quantity(domain, uuid, name, kind, unit, lambda: _never_zero(read()) / _MILLI, hz)

    if gpu.supports_get_total_energy_consumption():
        yield quantity("counter", "J", gpu.get_total_energy_consumption)
    yield quantity("power_instant", "W", gpu.get_instant_power_usage)
    yield quantity("power_mean", "W", gpu.get_average_power_usage, _SLOW_HZ)
    yield quantity("temperature", "°C", gpu.get_gpu_temperature, _SLOWEST_HZ)


def of_apple(soc: Any) -> Iterator[Quantity]:
    """The counters of an Apple chip. Its neural engine has no domain here and is left out."""
    there = soc.get_available_metrics()
    for metric, domain, device in _ONE_MEASUREMENT:
        if metric in there:

            def read(metric: str = metric) -> float:
                return float(getattr(soc.get_total_energy_consumption(), metric)) / _MILLI

            yield _quantity(domain, device, "Apple silicon", "counter", "J", read, _SLOW_HZ)


def of_jetson(soc: Any) -> Iterator[Quantity]:
    """Power of a Jetson's rails. The energy that Zeus offers is their power, added up ten times a second by a process of its own.

    That process is ended: nobody asks it.
    """
    soc.process.terminate()
    for rail, domain, device in _RAILS:
        if rail in soc.power_measurement:
            measure = soc.power_measurement[rail].measure_power

            def read(measure: Callable[[], float] = measure) -> float:
                return measure() / _MILLI

            yield _quantity(domain, device, "NVIDIA Jetson", "power_instant", "W", read, _FAST_HZ)


def of_daemon(cpus: Any, cpu_model: str) -> Iterator[Quantity]:
    """Processor packages, and their memory where each has a counter, as Zeus's daemon reads them for those who may not.

    Zeus numbers all zones of the powercap tree; ``psys`` and others that are no package are left out by their names.
    """
    packages = [cpu for cpu in cpus.cpus if _zone_name(cpus.rapl_dir, cpu.cpu_index).startswith("package")]
    if not packages:
        return
    yield _quantity("package", "cpu", cpu_model, "counter", "J", lambda: _sum_j(packages, "cpu_mj"), _SLOW_HZ)
    if all(cpu.supports_get_dram_energy_consumption() for cpu in packages):
        yield _quantity("dram", "cpu", cpu_model, "counter", "J", lambda: _sum_j(packages, "dram_mj"), _SLOW_HZ)


def _never_zero(value: Any) -> float:
    """Drivers report some failures as a success with the value 0, which no board that works shows."""
    if value <= 0:
        raise ValueError(f"the value {value}")
    return float(value)


def _sum_j(packages: Sequence[Any], part: str) -> float:
    return sum(float(getattr(cpu.get_total_energy_consumption(), part)) for cpu in packages) / _MILLI


def _zone_name(tree: str, number: int) -> str:
    return (Path(tree) / f"intel-rapl:{number}" / "name").read_text(encoding="ascii")


def _quantity(
    domain: Domain, device: str, name: str, kind: ChannelKind, unit: str, read: Callable[[], float], rate_hz: float
) -> Quantity:
    channel = Channel(
        id=0,
        source="zeus",
        domain=domain,
        device=device,
        device_name=name,
        kind=kind,
        unit=unit,
        rate_hz=rate_hz,
        resolution=0.001 if unit in ("J", "W") else None,
        covers=("gpu", "package", "dram") if domain == "module" else (),
    )
    return Quantity(channel, read)
