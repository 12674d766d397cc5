"""What accelerators can do at most, by name, from ``device_peaks.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class DevicePeaks:
    """One device as its vendor specifies it.

    ``flops_per_s`` by the type that is multiplied: dense, on matrix units where they exist, with FP32 accumulation.
    ``bytes_per_s`` is the bandwidth of its memory, ``None`` where the vendor's documents differ; ``source`` names the document.
    """

    name: str
    flops_per_s: Mapping[str, float]
    bytes_per_s: float | None
    source: str


def device_name(name: str) -> str:
    """A device's name without its make, as the table has it: ``NVIDIA A100-SXM4-40GB`` is ``A100-SXM4-40GB``."""
    return " ".join(name.split()).removeprefix("NVIDIA ").removeprefix("Tesla ")


@cache
def device_peaks() -> Mapping[str, DevicePeaks]:
    """All devices of the table, by ``device_name``."""
    table = json.loads(files("llenergymeasure.data").joinpath("device_peaks.json").read_text(encoding="utf-8"))
    return {
        name: DevicePeaks(
            name=name,
            flops_per_s={kind: rate * 1e12 for kind, rate in device["teraflop_per_s"].items()},
            bytes_per_s=None if device["gigabyte_per_s"] is None else device["gigabyte_per_s"] * 1e9,
            source=table["sources"][device["source"]],
        )
        for name, device in table["devices"].items()
    }
