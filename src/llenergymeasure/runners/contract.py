"""The seam that wraps a worker's command: where the worker runs.

``check()`` says whether it can run there (a list of problems, empty when it can). ``launch(job, log)`` starts one worker and
returns at once; the handle's ``pid`` is known to this host. A handle is waited for exactly once by its owner. Calls come from
one thread; ``launch`` raises ``LLEMError`` when nothing could be started.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Protocol


class Runner(Protocol):
    """Where workers run."""

    @property
    def at(self) -> str:
        """The value in the configuration that names this runner."""

    def check(self) -> tuple[str, ...]: ...

    def launch(self, job: Path, log: Path) -> subprocess.Popen[bytes]: ...
