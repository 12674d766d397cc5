"""A powercap tree in a folder, with the files that the kernel would put there, and the clock that its counters turn with."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

from llenergymeasure.testing.virtual_clock import VirtualClock

RANGE_UJ = 65_532_610_987
"""A 32-bit register of 15.26 µJ: the smallest range that processors have."""


class PowercapDouble:
    """Zones are added with ``add``; each takes ``power_w`` while the clock passes, wrapping after ``range_uj``.

    It is a ``Clock`` itself, for any number of threads: it passes when it is slept on, and by ``look_s`` each time it is looked
    at. ``denied`` are names of folders in which no file may be read.
    """

    def __init__(self, root: Path, *, look_s: float = 0.0) -> None:
        self.root = root
        self.look_s = look_s
        self.denied: set[str] = set()
        self.power_w: dict[str, float] = {}
        self._range_uj: dict[str, int] = {}
        self._clock = VirtualClock()
        self._lock = Lock()

    def add(self, folder: str, name: str, *, uj: int = 0, power_w: float = 100.0, range_uj: int = RANGE_UJ) -> None:
        """A zone: ``add("intel-rapl:0", "package-0")``."""
        (self.root / folder).mkdir(parents=True)
        (self.root / folder / "name").write_text(f"{name}\n")
        (self.root / folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.power_w[folder], self._range_uj[folder] = power_w, range_uj
        self.put(folder, f"{uj}\n")

    def put(self, folder: str, text: str) -> None:
        """What ``energy_uj`` holds from now on; at once, as a register changes."""
        new = self.root / folder / "energy_uj.new"
        new.write_text(text)
        os.replace(new, self.root / folder / "energy_uj")

    def read(self, path: Path) -> bytes:
        """A file, or the refusal that everybody but root gets."""
        if path.parent.name in self.denied:
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_bytes()

    def now_ns(self) -> int:
        if self.look_s:
            self.sleep(self.look_s)
        return self._clock.now_ns()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._clock.sleep(seconds)
            for folder, power_w in self.power_w.items():
                text = (self.root / folder / "energy_uj").read_text()
                if power_w and text.strip().isdigit():
                    self.put(folder, f"{(int(text) + round(power_w * seconds * 1e6)) % self._range_uj[folder]}\n")
