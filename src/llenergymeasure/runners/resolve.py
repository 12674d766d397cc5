"""From the text in a configuration to a runner."""

from __future__ import annotations

from llenergymeasure import plugins
from llenergymeasure.runners.contract import Runner


def runner_at(at: str) -> Runner:
    """The runner that ``at`` names (its part before the colon). Raises ``LLEMError`` for one that is not known."""
    runner: Runner = plugins.load("runners", at.partition(":")[0])(at)
    return runner
