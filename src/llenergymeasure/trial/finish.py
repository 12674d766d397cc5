"""The end of a trial that came to its end: its trace, and its idle power for the trials after it.

What this needs takes long to import. What every trial needs is imported where nothing waits for it: while the worker loads its
engine. Only a trial that rested itself, one an hour, needs the analysis.
"""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.model.mark import interval_of
from llenergymeasure.trial.idle_cache import remember


def import_ahead() -> None:
    """Import what ``finish`` will need in any case; called on a thread of its own."""
    import llenergymeasure.trial.join  # noqa: F401


def finish(folder: Path) -> None:
    """Join the trace of a folder, write it, and remember the idle power that it measured. Raises ``LLEMError``."""
    from llenergymeasure.trial.join import join

    trace = join(folder)
    # Idle power under a cap or with locked clocks is no other trial's.
    if interval_of(trace.head.marks, "idle") is None or trace.head.job.power is not None:
        return
    from llenergymeasure.analyse.energy.rest import idle_of

    idle = idle_of(trace)
    if idle is not None:
        remember(trace.head.channels, idle)
