"""Rated power of CPUs by name, from ``cpu_power.json``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class RatedPower:
    """One part as its vendor specifies it.

    ``tdp_w`` is the thermal design power, ``limit_w`` the vendor's higher sustained limit where it publishes one (else the
    same); ``logical_cpus`` are the threads of one socket; ``source`` says where the numbers come from.
    """

    name: str
    tdp_w: float
    limit_w: float
    logical_cpus: int
    source: str


def rated_power(cpu_model: str) -> RatedPower | None:
    """The part with the name that the system gives; ``None`` for one that is not in the table (most cloud guests)."""
    return _table().get(part_name(cpu_model))


# What systems add to a part's name: marks, generation, core count, graphics, clock.
_DECORATION = re.compile(
    r"\((R|TM)\)|^\d+\w\w Gen |\b\d+-Cores?\b|\bCPU\b|\bProcessor\b| w(ith|/) .*$|@.*$", re.IGNORECASE
)


def part_name(cpu_model: str) -> str:
    """A processor's name without what systems add to it: ``AMD EPYC 7763 64-Core Processor`` is ``AMD EPYC 7763``."""
    return " ".join(_DECORATION.sub(" ", cpu_model).split())


@cache
def _table() -> dict[str, RatedPower]:
    table = json.loads(files("llenergymeasure.data").joinpath("cpu_power.json").read_text(encoding="utf-8"))
    return {
        name: RatedPower(
            name=name,
            tdp_w=float(part["tdp_w"]),
            limit_w=float(part.get("limit_w", part["tdp_w"])),
            logical_cpus=part["logical_cpus"],
            source=table["sources"][name.split()[0].lower()],
        )
        for name, part in table["parts"].items()
    }
