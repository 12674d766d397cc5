"""Which GPUs a process can see, as CUDA decides it from its environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure.errors import EnergyError


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that a source lists; sources list them in the order of their PCI addresses."""

    device: str
    name: str


def visible_gpus(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The devices of ``gpus`` that ``CUDA_VISIBLE_DEVICES`` leaves, in CUDA's order; all of them when it is not set.

    Entries are indexes or the beginning of a UUID; the first that names no GPU hides itself and all after it (CUDA C++
    Programming Guide, "CUDA Environment Variables"). Indexes count from the fastest GPU unless ``CUDA_DEVICE_ORDER`` is
    ``PCI_BUS_ID``: among different boards they cannot be told here, and ``EnergyError`` is raised.
    """
    mask = environment.get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        return tuple(gpu.device for gpu in gpus)
    seen: list[str] = []
    for entry in (part.strip() for part in mask.split(",")):
        found = _indexed(gpus, int(entry), environment) if entry.isdecimal() else _named(gpus, entry)
        if found is None or found in seen:
            break
        seen.append(found)
    return tuple(seen)


def _indexed(gpus: Sequence[Gpu], index: int, environment: Mapping[str, str]) -> str | None:
    if index >= len(gpus):
        return None
    if len({gpu.name for gpu in gpus}) > 1 and environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        raise EnergyError(
            "CUDA_VISIBLE_DEVICES holds indexes among different GPUs, and their order is not known",
            hint="set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs by UUID",
        )
    return gpus[index].device


def _named(gpus: Sequence[Gpu], entry: str) -> str | None:
    matching = [gpu.device for gpu in gpus if entry and gpu.device.startswith(entry)]
    return matching[0] if len(matching) == 1 else None
