"""A real engine whose work a virtual board pretends to do: what the engine does decides what the board draws.

``mapped_<backend>`` is the backend of that name (its options, formats, tokens and timing are the real ones), but the device that
it says it used is a virtual board, played by ``virtual_gpu.native``. While the engine loads, works or rests, the board draws what
the script in its folder says: the energy of a real trial is known. Results are marked as simulated.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure import plugins
from llenergymeasure.backends.contract import Backend, BackendSpec, DeviceMemory, Session, Sink, Tokenizer
from llenergymeasure.clock import Clock, MonotonicClock
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import decode, to_line
from llenergymeasure.model.event import Found, Missing, SessionFacts
from llenergymeasure.model.job import ConvertJob, ModelRef, ServeJob, TrialJob
from llenergymeasure.model.request import Request
from llenergymeasure.testing.live_power import FOLDER, LivePower, live_file

PREFIX = "mapped_"
_SCRIPT = "mapped.json"


@dataclass(frozen=True, slots=True)
class Script:
    """What a board draws, beyond its own scenario, while the engine does something.

    ``device`` is the board's UUID, ``index`` its place in the driver's list.
    """

    device: str
    index: int = 0
    load_w: float = 40.0
    loaded_w: float = 20.0
    work_w: float = 200.0


def write_script(folder: Path, script: Script) -> None:
    """Put the script where the worker finds it: in the folder in which the boards are played."""
    (folder / _SCRIPT).write_text(to_line(script), encoding="utf-8")


class MappedSession:
    """An opened session of the real engine, and the board that draws power for it."""

    def __init__(self, inner: Session, script: Script, live: LivePower, clock: Clock) -> None:
        self._inner = inner
        self._script = script
        self._live = live
        self._clock = clock

    @property
    def concurrency(self) -> int:
        return self._inner.concurrency

    def facts(self) -> SessionFacts:
        facts = self._inner.facts()
        return dataclasses.replace(
            facts,
            engine="simulated",
            engine_version=f"{facts.engine} {facts.engine_version}",
            device_ids=(self._script.device,),
        )

    def run(self, requests: Sequence[Request], sink: Sink) -> None:
        self._draw(self._script.work_w)
        try:
            self._inner.run(requests, sink)
        finally:
            self._draw(self._script.loaded_w)

    def synchronize(self) -> None:
        self._inner.synchronize()

    def memory(self) -> DeviceMemory:
        return self._inner.memory()

    def close(self) -> None:
        self._inner.close()
        self._draw(0.0)
        self._live.close()

    def _draw(self, watts: float) -> None:
        self._live.draw(watts, self._clock.now_ns)


class MappedBackend:
    """The backend called ``wrapped``, on a virtual board."""

    def __init__(self, wrapped: str, clock: Clock) -> None:
        self._wrapped: Backend = plugins.load("backends", wrapped)
        self._clock = clock
        self.spec: BackendSpec = dataclasses.replace(
            self._wrapped.spec, name=f"{PREFIX}{wrapped}", engine="simulated", minimum_version="0"
        )

    def probe(self) -> Found | Missing:
        found = self._wrapped.probe()
        return dataclasses.replace(found, backend=self.spec.name)

    def tokenizer(self, model: ModelRef, *, trust_remote_code: bool = False) -> Tokenizer:
        return self._wrapped.tokenizer(model, trust_remote_code=trust_remote_code)

    def open(self, job: TrialJob) -> Session:
        folder = _folder()
        script = decode(Script, json.loads((folder / _SCRIPT).read_text(encoding="utf-8")))
        live = LivePower(live_file(folder, script.index))
        live.draw(script.load_w, self._clock.now_ns)
        try:
            inner = self._wrapped.open(job)
        except BaseException:
            live.draw(0.0, self._clock.now_ns)
            raise
        live.draw(script.loaded_w, self._clock.now_ns)
        return MappedSession(inner, script, live, self._clock)

    def convert(self, job: ConvertJob) -> None:
        self._wrapped.convert(job)

    def serve(self, job: ServeJob) -> None:
        raise BackendError(f"{self.spec.name}: a mapped engine does not serve")


def _folder() -> Path:
    folder = Path(os.environ.get(FOLDER, ""))
    if not (folder / _SCRIPT).is_file():
        raise BackendError(
            f"no virtual board is played for this engine: {FOLDER} names no folder with a script",
            hint="this backend is for tests; use the engine itself",
        )
    return folder


def __getattr__(name: str) -> Any:
    """``mapped_<backend>``: which engines are wrapped is said in ``plugins.py`` alone."""
    if name.startswith(PREFIX):
        return MappedBackend(name.removeprefix(PREFIX), MonotonicClock())
    raise AttributeError(name)
