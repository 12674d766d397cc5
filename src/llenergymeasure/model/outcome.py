"""How a trial or a job ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# ``backend_missing``, ``backend_error``, ``bad_option``, ``out_of_memory`` and ``internal`` are the worker's own words;
# ``killed`` (by a signal), ``timeout``, ``silent``, ``no_hello`` and ``disk_full`` are what the driver saw from outside.
FailureKind = Literal[
    "backend_missing",
    "backend_error",
    "bad_option",
    "out_of_memory",
    "unsupported",
    "internal",
    "killed",
    "timeout",
    "silent",
    "no_hello",
    "exit_status",
    "disk_full",
    "interrupted",
    "meter",
    "analysis",
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a process or a trial failed, as data: ``error.json`` and ``worker_error.json``.

    ``last_mark`` is the last mark written before it, ``log_tail`` the end of ``worker.log``.
    """

    kind: FailureKind
    message: str
    hint: str = ""
    traceback: str = ""
    last_mark: str = ""
    log_tail: str = ""
    exit_status: int | None = None
