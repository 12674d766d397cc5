"""The end of a trial that came to its end: its trace, and its idle power for the trials after it.

What this needs takes longer to import than everything else that a driver does. It is imported where nothing waits for it: while
the worker loads its engine.
"""

from __future__ import annotations

from pathlib import Path

from llenergymeasure.trial.idle_cache import remember


def import_ahead() -> None:
    """Import what ``finish`` will need; called on a thread of its own."""
    import llenergymeasure.analyse.rest
    import llenergymeasure.trial.join  # noqa: F401


def finish(folder: Path) -> None:
    """Join the trace of a folder, write it, and remember the idle power that it measured. Raises ``LLEMError``."""
    from llenergymeasure.analyse.rest import idle_of
    from llenergymeasure.trial.join import join

    trace = join(folder)
    idle = idle_of(trace)
    if idle is not None:
        remember(trace.head.channels, idle)
