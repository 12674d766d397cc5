"""Linux's powercap tree: which energy counters the processor packages have, and how one is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# How a file is read whole. Handed in, so that a test can refuse permission, which root is never refused.
ReadFile = Callable[[Path], bytes]

# AMD's packages have the same names. ``intel-rapl-mmio:*`` are the same packages a second time.
_ZONE = re.compile(r"intel-rapl:(\d+)(?::(\d+))?")
# The kernel ends the number with a newline: without it, the end is missing.
_COUNT = re.compile(rb"(\d{1,20})\n")


class BadCount(Exception):
    """A file was read and holds no count: it is garbage, cut off, beyond the counter's range, or stands still."""


@dataclass(frozen=True, slots=True)
class Zone:
    """One counter of microjoules that begins at 0 again after ``range_uj``; ``package`` is its package's own name."""

    package: str
    domain: Literal["package", "dram"]
    folder: Path
    range_uj: int

    def read_uj(self, read: ReadFile) -> int:
        """The count now. Raises ``OSError`` and ``BadCount``."""
        value_uj = _count(self.folder / "energy_uj", read)
        if value_uj > self.range_uj:
            raise BadCount(f"{self.folder / 'energy_uj'} is beyond the range of its counter")
        return value_uj


def zones_of(root: Path, read: ReadFile) -> tuple[Zone, ...]:
    """The packages and their DRAM; none when the tree has none. Raises ``OSError`` and ``BadCount``.

    These are disjoint. Left out are ``core`` and ``uncore``, which are parts of a package, and ``psys``, which contains packages.
    """
    if not root.is_dir():
        return ()
    places = sorted(
        (int(found[1]), -1 if found[2] is None else int(found[2]), folder)
        for folder in root.iterdir()
        if (found := _ZONE.fullmatch(folder.name))
    )
    return tuple(_zones(places, read))


def _zones(places: Iterable[tuple[int, int, Path]], read: ReadFile) -> Iterator[Zone]:
    """``places``: number of the package, number within it (-1 for the package itself), and folder, in this order."""
    packages: dict[int, str] = {}
    for outer, inner, folder in places:
        name = read(folder / "name").decode("utf-8", errors="replace").strip()
        if inner < 0 and name.startswith("package"):
            packages[outer] = name
            yield Zone(name, "package", folder, _range_uj(folder, read))
        elif inner >= 0 and name == "dram" and outer in packages:
            yield Zone(packages[outer], "dram", folder, _range_uj(folder, read))


def _range_uj(folder: Path, read: ReadFile) -> int:
    range_uj = _count(folder / "max_energy_range_uj", read)
    if range_uj == 0:
        raise BadCount(f"{folder / 'max_energy_range_uj'} is 0: where the counter begins again is not known")
    return range_uj


def _count(path: Path, read: ReadFile) -> int:
    found = _COUNT.fullmatch(read(path))
    if found is None:
        raise BadCount(f"{path} holds no number")
    return int(found[1])
