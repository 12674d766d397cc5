"""Who else is on a board: the processes that the driver lists, told apart by whose they are, and memory that is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llenergymeasure.energy.nvml_reads import BadValue, Board, Quantity
from llenergymeasure.energy.own_processes import IsOurs
from llenergymeasure.units import NS_PER_S

# The channels of a board are read one after the other: what was listed so shortly before is not asked for again.
_SAME_NS = NS_PER_S // 2


@dataclass(frozen=True, slots=True)
class _Seen:
    """Processes with a context on the board, and what ours hold; ``unseen`` cannot be told apart from here."""

    t_ns: int
    own: int
    foreign: int
    unseen: int
    own_bytes: int | None


class Sharing:
    """The processes of one board at an instant: compute, graphics, and those behind an MPS server."""

    def __init__(self, board: Board, is_ours: IsOurs) -> None:
        self._board = board
        self._is_ours = is_ours
        self._seen: _Seen | None = None

    def quantities(self) -> Iterator[Quantity]:
        """Counts of our processes and of others, and memory in use that is not ours."""
        yield self._board.quantity("processes", "", self._own, detail="own")
        yield self._board.quantity("processes", "", self._foreign, detail="foreign")
        yield self._board.quantity("foreign_memory", "B", self._foreign_bytes)

    def _own(self, now_ns: int) -> float:
        return float(self._told_apart(now_ns).own)

    def _foreign(self, now_ns: int) -> float:
        return float(self._told_apart(now_ns).foreign)

    def _foreign_bytes(self, now_ns: int) -> float:
        """What the driver keeps for itself is no process's: the newer answer leaves it out, the older one is not used."""
        nvml = self._board.nvml
        own_bytes = self._told_apart(now_ns).own_bytes
        if own_bytes is None:
            raise BadValue("the driver does not say what our processes hold")
        used = nvml.nvmlDeviceGetMemoryInfo(self._board.handle, nvml.nvmlMemory_v2).used
        return float(max(0, used - own_bytes))

    def _told_apart(self, now_ns: int) -> _Seen:
        seen = self._seen
        if seen is None or not 0 <= now_ns - seen.t_ns < _SAME_NS:
            seen = self._seen = self._look(now_ns)
        if seen.unseen:
            raise BadValue("the driver lists processes that cannot be seen from here")
        return seen

    def _look(self, now_ns: int) -> _Seen:
        listed = self._listed()
        whose = {pid: self._is_ours(pid) for pid in listed}
        own = [pid for pid, ours in whose.items() if ours]
        held = [listed[pid] for pid in own]
        return _Seen(
            t_ns=now_ns,
            own=len(own),
            foreign=sum(ours is False for ours in whose.values()),
            unseen=sum(ours is None for ours in whose.values()),
            own_bytes=None if None in held else sum(filter(None, held)),
        )

    def _listed(self) -> dict[int, int | None]:
        """Memory by pid (``None``: not said). One list that the board does not have leaves the others."""
        nvml, handle = self._board.nvml, self._board.handle
        asked = (
            nvml.nvmlDeviceGetComputeRunningProcesses,
            nvml.nvmlDeviceGetGraphicsRunningProcesses,
            nvml.nvmlDeviceGetMPSComputeRunningProcesses,
        )
        found: dict[int, int | None] = {}
        answers, refusal = 0, None
        for function in asked:
            try:
                processes = function(handle)
            except nvml.NVMLError as error:
                refusal = error
                continue
            answers += 1
            for process in processes:
                known, used = found.get(process.pid), process.usedGpuMemory
                found[process.pid] = used if known is None else max(known, used or 0)
        if not answers and refusal is not None:
            raise refusal
        return found
