"""Power caps and clocks of the GPUs that this process can see: checked, set, read back, and taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llenergymeasure.energy.visible import Gpu, visible_gpus
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.model.job import PowerKnobs

if TYPE_CHECKING:
    from llenergymeasure.model.event import BoardPower

_SAME_MW = 1000
_RIGHTS = "run as root (in a container also with --cap-add SYS_ADMIN), or leave out the power section"


class PowerError(LLEMError):
    """A cap or a clock cannot be set here. Nothing is left changed."""


@dataclass(frozen=True, slots=True)
class Board:
    """One GPU."""

    handle: Any
    uuid: str
    name: str


def open_boards(nvml: Any, environment: Mapping[str, str]) -> tuple[Board, ...]:
    """Open NVML and return the boards that ``CUDA_VISIBLE_DEVICES`` leaves. Raises ``PowerError`` where there is none."""
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        boards = {_text(nvml.nvmlDeviceGetUUID(one)): (one, _text(nvml.nvmlDeviceGetName(one))) for one in handles}
        seen = visible_gpus([Gpu(uuid, name) for uuid, (_, name) in boards.items()], environment)
    except nvml.NVMLError as error:
        raise PowerError(
            f"power caps and clocks need an NVIDIA GPU: {error}", hint="leave out the power section"
        ) from error
    except EnergyError as error:
        raise PowerError(f"power: {error}", hint=error.hint) from error
    if not seen:
        raise PowerError(
            "power caps and clocks need an NVIDIA GPU: none is visible", hint="leave out the power section"
        )
    return tuple(Board(boards[uuid][0], uuid, boards[uuid][1]) for uuid in seen)


def refusals(nvml: Any, boards: tuple[Board, ...], knobs: PowerKnobs) -> Iterator[str]:
    """What the boards would not take, as far as they say so without being changed."""
    for board in boards:
        if knobs.cap_w is not None:
            limits = _answer(nvml, nvml.nvmlDeviceGetPowerManagementLimitConstraints, board.handle)
            if limits is None:
                yield f"power.cap_w: {board.name} has no power limit that can be set"
            elif not limits[0] <= knobs.cap_w * 1000 <= limits[1]:
                yield f"power.cap_w: {board.name} takes {limits[0] / 1000:g} to {limits[1] / 1000:g} W, not {knobs.cap_w:g}"
        memory = _answer(nvml, nvml.nvmlDeviceGetSupportedMemoryClocks, board.handle) or ()
        yield from _unknown_clock("mem_clock_mhz", board, knobs.mem_clock_mhz, memory)
        if memory:
            with_memory = knobs.mem_clock_mhz if knobs.mem_clock_mhz in memory else max(memory)
            graphics = _answer(nvml, nvml.nvmlDeviceGetSupportedGraphicsClocks, board.handle, with_memory) or ()
            yield from _unknown_clock("sm_clock_mhz", board, knobs.sm_clock_mhz, graphics)


def _unknown_clock(key: str, board: Board, asked_mhz: int | None, known: Any) -> Iterator[str]:
    if asked_mhz is not None and known and asked_mhz not in known:
        nearest = min(known, key=lambda mhz: abs(mhz - asked_mhz))
        yield f"power.{key}: {board.name} has no clock of {asked_mhz} MHz; the nearest is {nearest}"


def ask_permission(nvml: Any, boards: tuple[Board, ...]) -> None:
    """Set each power limit to what it is: the driver refuses that to whoever may not change it. Raises ``PowerError``."""
    for board in boards:
        now_mw = _answer(nvml, nvml.nvmlDeviceGetPowerManagementLimit, board.handle)
        try:
            if now_mw is not None:
                nvml.nvmlDeviceSetPowerManagementLimit(board.handle, now_mw)
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_NOT_SUPPORTED:  # clocks may be there to set all the same
                raise _refused(nvml, board, "power limit", error) from error


class PowerSetting:
    """What was changed on some boards. ``apply`` changes it all or nothing; ``restore`` may be called in any state."""

    def __init__(self, nvml: Any, boards: tuple[Board, ...], knobs: PowerKnobs) -> None:
        self._nvml = nvml
        self._boards = boards
        self._knobs = knobs
        self._caps_before_mw: dict[str, int] = {}
        self._locked: list[tuple[Board, str]] = []

    def apply(self) -> tuple[BoardPower, ...]:
        """Set caps and clocks and read back what can be. Raises ``PowerError`` with everything as it was."""
        try:
            return tuple(self._apply(board) for board in self._boards)
        except PowerError as error:
            left = self.restore()
            raise PowerError("; ".join((str(error), *left)), hint=error.hint) from error

    def restore(self) -> tuple[str, ...]:
        """Set caps back and lift the locks on clocks; what could not be undone, in words."""
        nvml, left = self._nvml, []
        for board in self._boards:
            before_mw = self._caps_before_mw.pop(board.uuid, None)
            if before_mw is None:
                continue
            try:
                nvml.nvmlDeviceSetPowerManagementLimit(board.handle, before_mw)
            except nvml.NVMLError as error:
                left.append(f"{board.uuid}: the cap could not be set back to {before_mw / 1000:g} W: {error}")
        for board, what in self._locked:
            try:
                if what == "SM clock":
                    nvml.nvmlDeviceResetGpuLockedClocks(board.handle)
                else:
                    nvml.nvmlDeviceResetMemoryLockedClocks(board.handle)
            except nvml.NVMLError as error:
                left.append(f"{board.uuid}: the lock on the {what} could not be lifted: {error}")
        self._locked.clear()
        return tuple(left)

    def _apply(self, board: Board) -> BoardPower:
        from llenergymeasure.model.event import BoardPower  # not for those who only ask what could be set

        nvml, knobs, handle = self._nvml, self._knobs, board.handle
        before_mw = _answer(nvml, nvml.nvmlDeviceGetPowerManagementLimit, handle)
        if knobs.cap_w is not None:
            self._cap(board, round(1000 * knobs.cap_w), before_mw)
        if (mhz := knobs.sm_clock_mhz) is not None:
            self._lock(board, "SM clock", lambda: nvml.nvmlDeviceSetGpuLockedClocks(handle, mhz, mhz))
        if (memory_mhz := knobs.mem_clock_mhz) is not None:
            self._lock(
                board, "memory clock", lambda: nvml.nvmlDeviceSetMemoryLockedClocks(handle, memory_mhz, memory_mhz)
            )
        in_force_mw = _answer(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        return BoardPower(
            device=board.uuid,
            cap_before_w=None if before_mw is None else before_mw / 1000,
            cap_w=None if in_force_mw is None else in_force_mw / 1000,
            sm_clock_mhz=knobs.sm_clock_mhz,
            mem_clock_mhz=knobs.mem_clock_mhz,
        )

    def _cap(self, board: Board, wanted_mw: int, before_mw: int | None) -> None:
        nvml = self._nvml
        if before_mw is None:
            raise PowerError(f"{board.name}: its power limit cannot be read, so it could not be set back")
        self._caps_before_mw[board.uuid] = before_mw
        try:
            nvml.nvmlDeviceSetPowerManagementLimit(board.handle, wanted_mw)
        except nvml.NVMLError as error:
            raise _refused(nvml, board, "power limit", error) from error
        in_force_mw = _answer(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, board.handle)
        if in_force_mw is None or abs(in_force_mw - wanted_mw) > _SAME_MW:
            found = "an unknown limit" if in_force_mw is None else f"{in_force_mw / 1000:g} W"
            raise PowerError(f"{board.name}: a cap of {wanted_mw / 1000:g} W was set and {found} is in force")

    def _lock(self, board: Board, what: str, lock: Any) -> None:
        try:
            lock()
        except self._nvml.NVMLError as error:
            raise _refused(self._nvml, board, what, error) from error
        self._locked.append((board, what))


def _refused(nvml: Any, board: Board, what: str, error: Any) -> PowerError:
    if error.value == nvml.NVML_ERROR_NO_PERMISSION:
        return PowerError(f"{board.name}: this user may not set its {what}", hint=_RIGHTS)
    return PowerError(
        f"{board.name}: the driver refuses to set its {what}: {error}", hint="leave it out of the power section"
    )


def _answer(nvml: Any, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
