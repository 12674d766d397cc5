"""Events: the lines that worker, meter and driver append to their files, one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, get_args

from llenergymeasure.model.codec import CodecError, JsonValue, decode, encode, from_line, to_line
from llenergymeasure.model.idle import IdlePower
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.model.machine import Interpreter, Machine, ProcessIdentity
from llenergymeasure.model.mark import Interval, Mark
from llenergymeasure.model.reading import Channel, SourceVerdict
from llenergymeasure.model.request import Completion


@dataclass(frozen=True, slots=True)
class Hello:
    """The first event of every process."""

    identity: ProcessIdentity


@dataclass(frozen=True, slots=True)
class Progress:
    """Words for a person who waits; ``fraction`` in [0, 1] when it is known."""

    message: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """The worker's own interpreter."""

    interpreter: Interpreter


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The host, as the driver sees it."""

    machine: Machine


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What an opened backend says of itself. ``None`` is "it does not say".

    ``device_ids`` are the devices that work (a GPU's UUID, or ``cpu``): theirs is the energy that counts. Bytes are what is held
    in memory for weights and for the key-value cache; ``kv_element_bytes`` those of one number in the cache, keys and values
    averaged. ``effective_options`` is what options not given became. ``batching``: whether the session forms static batches or
    the engine schedules requests itself.
    """

    engine: str
    engine_version: str
    batching: Literal["static", "engine"]
    device: str
    device_ids: tuple[str, ...]
    precision: str
    weight_types: tuple[str, ...] = ()
    parameters: int | None = None
    weight_bytes: int | None = None
    kv_bytes: int | None = None
    kv_element_bytes: float | None = None
    attention: str | None = None
    threads: int | None = None
    effective_options: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WarmupBatch:
    """One batch of the warm-up: what it took and how steady the last batches are (``None`` while there are too few)."""

    index: int
    seconds: float
    output_tokens: int
    cv: float | None
    steady: bool


@dataclass(frozen=True, slots=True)
class PowerTrend:
    """What the driver sees of a warm-up's power: how it comes to rest.

    ``change`` is the relative difference of the mean power of the last two 5 s, ``heating_c_per_s`` how fast the devices that
    work grow warmer. ``None`` where it is not known, or not yet.
    """

    change: float | None
    heating_c_per_s: float | None


@dataclass(frozen=True, slots=True)
class WarmupDone:
    """How the warm-up ended. ``prompts`` says which prompts it used, ``power`` how its power moved at the end, if it is read."""

    batches: int
    seconds: float
    steady: bool | None
    cv: float | None
    prompts: Literal["pool", "permuted", "none"]
    power: PowerTrend | None = None


@dataclass(frozen=True, slots=True)
class WindowDone:
    """How the window ended: ``passes`` completed, and whether the last one was cut. A cold start ends by ``first_request``."""

    passes: int
    partial: bool
    stopped_by: Literal["length", "max_seconds", "signal", "first_request"]


@dataclass(frozen=True, slots=True)
class FileCache:
    """Bytes of the model's files just before loading, and how many of them the operating system held in memory."""

    total_bytes: int
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Submission:
    """Requests given to the engine together."""

    batch: int
    t_ns: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RequestDone:
    """A completion of the window, with the row of the inputs it belongs to."""

    prompt: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Peaks over the trial. ``device_*`` are the accelerator's; ``process_peak_bytes`` the worker's resident memory."""

    device_allocated_peak_bytes: int | None
    device_reserved_peak_bytes: int | None
    process_peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A probe's answer: the engine is here."""

    backend: str
    engine: str
    version: str
    devices: tuple[str, ...]
    interpreter: Interpreter


@dataclass(frozen=True, slots=True)
class Missing:
    """A probe's answer: the engine cannot be used, why, and what would help."""

    backend: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Worked:
    """When a busy job worked, interval by interval as it was asked to."""

    at: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Metered:
    """The meter's answer to its job: each source's verdict, and the channels it reads."""

    verdicts: tuple[SourceVerdict, ...]
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class ClockTriple:
    """The three clocks at one instant, once a second: shows a suspended machine and a stepped wall clock."""

    monotonic_ns: int
    realtime_ns: int
    boottime_ns: int


@dataclass(frozen=True, slots=True)
class MeterCost:
    """What the meter itself used from its first reading to its last."""

    cpu_s: float
    wall_s: float
    readings: int


@dataclass(frozen=True, slots=True)
class IdleReused:
    """The driver did not rest: the idle power of these sensors was measured not long ago."""

    idle: IdlePower


@dataclass(frozen=True, slots=True)
class BoardPower:
    """One board whose cap or clocks were set: the cap that it goes back to, the one in force as read back, locked clocks."""

    device: str
    cap_before_w: float | None
    cap_w: float | None
    sm_clock_mhz: int | None
    mem_clock_mhz: int | None


@dataclass(frozen=True, slots=True)
class PowerSet:
    """Caps and clocks were set before anything else of the trial began."""

    requested: PowerKnobs
    boards: tuple[BoardPower, ...]


@dataclass(frozen=True, slots=True)
class PowerRefused:
    """Caps and clocks could not be set; nothing is left changed."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class PowerRestored:
    """Caps and clocks were taken back; ``problems`` says what could not be."""

    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """A process the driver started."""

    role: Literal["worker", "meter"]
    pid: int
    started_ns: int


@dataclass(frozen=True, slots=True)
class ChildExit:
    """A process the driver saw end. ``returncode`` is negative for a signal."""

    role: Literal["worker", "meter"]
    pid: int
    returncode: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a process that did all it was asked."""

    kind: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A whole line that is no event, as a reader finds it; nobody writes one. ``line`` is its beginning."""

    line: str
    reason: str


Event = (
    Hello
    | Progress
    | EnvironmentFacts
    | MachineFacts
    | SessionFacts
    | WarmupBatch
    | PowerTrend
    | WarmupDone
    | WindowDone
    | FileCache
    | Submission
    | RequestDone
    | MemoryFacts
    | Found
    | Missing
    | Worked
    | Metered
    | ClockTriple
    | MeterCost
    | IdleReused
    | PowerSet
    | PowerRefused
    | PowerRestored
    | Child
    | ChildExit
    | Finished
    | Unreadable
    | Mark
)
_EVENTS: dict[str, type[Any]] = {cls.__name__: cls for cls in get_args(Event)}


def event_line(event: Event) -> str:
    """One line of an events file."""
    return to_line({"event": type(event).__name__, **encode(event)})


def parse_event(line: str) -> Event | None:
    """The event of one line; ``None`` for an event that this version does not know. Raises ``CodecError`` for a broken line."""
    value = from_line(line)
    name = value.get("event") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise CodecError(f"not an event: {line[:80]!r}")
    if name not in _EVENTS:
        return None
    event: Event = decode(_EVENTS[name], value)
    return event


def read_events(path: Path) -> Iterator[Event]:
    """All whole events of a file; a torn last line is left out. Nothing when the file does not exist."""
    tail = EventTail(path)
    yield from tail.new()


class EventTail:
    """Follows an events file that another process appends to. It never raises for what is in it: see ``Unreadable``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> tuple[Event, ...]:
        """The events that became whole since the last call."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return ()
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        events = (_read(line) for line in data[:whole].decode("utf-8", errors="replace").split("\n") if line)
        return tuple(event for event in events if event is not None)


def _read(line: str) -> Event | None:
    try:
        return parse_event(line)
    except CodecError as error:
        return Unreadable(line[:80], str(error))


class EventLog:
    """Appends events to a file, each flushed when it is written unless held back."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._held: list[str] | None = None

    @classmethod
    def append_to(cls, path: Path) -> EventLog:
        return cls(open(path, "a", encoding="utf-8"))

    def write(self, event: Event) -> None:
        line = event_line(event)
        if self._held is not None:
            self._held.append(line)
            return
        self._file.write(line)
        self._file.flush()

    def hold(self) -> None:
        """Keep events in memory until ``release``: inside a window nothing is written."""
        self._held = []

    def release(self) -> None:
        """Write what was held back."""
        lines, self._held = self._held or [], None
        self._file.write("".join(lines))
        self._file.flush()

    def close(self) -> None:
        self._file.close()
