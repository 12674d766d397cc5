"""Workers on this machine: in this interpreter (``local``), or in another environment's (``venv:PATH``)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from llenergymeasure.errors import ConfigError, LLEMError
from llenergymeasure.runners.bundle import bundle


def open_runner(at: str) -> LocalRunner:
    """The runner for ``local`` or ``venv:PATH``. Raises ``ConfigError`` for anything else."""
    if at == "local":
        return LocalRunner(at, Path(sys.executable))
    kind, _, place = at.partition(":")
    if kind == "venv" and place:
        return LocalRunner(at, Path(place).expanduser() / "bin" / "python")
    raise ConfigError(f"{at!r} is not a place this runner knows", hint="write local, or venv:PATH of an environment")


class LocalRunner:
    """A fresh interpreter in a session of its own, with the worker bundle and nothing else of ours on its path."""

    def __init__(self, at: str, python: Path) -> None:
        self.at = at
        self._python = python

    def check(self) -> tuple[str, ...]:
        """Problems that keep a worker from starting here."""
        if os.access(self._python, os.X_OK):
            return ()
        return (f"runner {self.at}: {self._python} is not an interpreter that can be run",)

    def launch(self, job: Path, log: Path) -> subprocess.Popen[bytes]:
        """Start a worker on ``job``; what it prints goes to ``log``."""
        environment = {**os.environ, "PYTHONPATH": str(bundle()), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
        environment.pop("PYTHONHOME", None)
        command = [str(self._python), "-m", "llenergymeasure.worker", str(job.resolve()), str(os.getpid())]
        try:
            with open(log, "ab") as output:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=job.parent,
                    start_new_session=True,
                )
        except OSError as error:
            raise LLEMError(f"runner {self.at}: the worker cannot be started: {error}") from error
