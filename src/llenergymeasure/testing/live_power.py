"""Power that a virtual board draws because a process decides so while it runs: a file that all processes share.

The worker that plays the work writes it, the shared library adds it to what the board's meters show, and a test reads the truth
from it. Eight whole numbers come first (how many pieces there are, settings of the board, the room), then pieces of 24 bytes: the
instant in ns, the energy until then in J, and the power in W from then on. ``virtual_gpu/native/player.h`` has the same layout.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from llenergymeasure.errors import LLEMError
from llenergymeasure.units import ns_to_s

FOLDER = "VIRTUAL_GPU_FOLDER"
"""The environment variable that names the folder in which boards are played."""

_HEAD, _PIECE, _ROOM = 8, 3, 65536
_PIECES, _LIMIT_MW, _SM_HIGH_MHZ, _ROOM_PLACE = 0, 1, 3, 7


def live_file(folder: Path, index: int) -> Path:
    """The file of the board that the driver lists at ``index``."""
    return folder / f"live-{index}.bin"


class LivePower:
    """The file of one board, opened. One process writes power; any number reads."""

    def __init__(self, path: Path) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        whole = memoryview(self._map)
        self._numbers, self._watts = whole.cast("q"), whole.cast("d")
        self._lock = Lock()

    @classmethod
    def create(cls, path: Path) -> LivePower:
        """A new file, in which nothing is drawn."""
        path.write_bytes(bytes(8 * (_HEAD + _PIECE * _ROOM)))
        made = cls(path)
        made._numbers[_ROOM_PLACE] = _ROOM
        return made

    def draw(self, watts: float, now_ns: Callable[[], int]) -> None:
        """Draw so much more than the board's own scenario from now on. Raises ``LLEMError`` when the file is full."""
        with self._lock:
            count = self._numbers[_PIECES]
            if count == self._numbers[_ROOM_PLACE]:
                raise LLEMError("the virtual board's power has changed too often for its file")
            place, t_ns = _HEAD + _PIECE * count, now_ns()
            self._numbers[place] = t_ns
            self._watts[place + 1] = self.energy_j(t_ns)
            self._watts[place + 2] = watts
            self._numbers[_PIECES] = count + 1  # last: readers see a piece when it is whole

    def energy_j(self, t_ns: int) -> float:
        """What was drawn until an instant."""
        for count in range(self._numbers[_PIECES], 0, -1):
            place = _HEAD + _PIECE * (count - 1)
            if self._numbers[place] <= t_ns:
                return self._watts[place + 1] + self._watts[place + 2] * ns_to_s(t_ns - self._numbers[place])
        return 0.0

    @property
    def power_limit_w(self) -> float | None:
        """The limit that a process has set, or ``None``."""
        return self._numbers[_LIMIT_MW] / 1000 or None

    @property
    def locked_sm_clock_mhz(self) -> int | None:
        """The highest clock to which a process has locked the board, or ``None``."""
        return self._numbers[_SM_HIGH_MHZ] or None

    def close(self) -> None:
        """Give the file back."""
        self._numbers.release()
        self._watts.release()
        self._map.close()
