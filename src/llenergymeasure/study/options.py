"""How a run was asked for, beside what is to be measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from llenergymeasure.config.settings import Settings


@dataclass(frozen=True, slots=True)
class RunOptions:
    """``base`` is the folder that relative paths of the configuration start from; ``source`` the file's text, kept as given.

    ``energy_source`` is a flag's and beats the file and the settings. ``quick``: other
    defaults, and results are marked preliminary. ``single``: one experiment, named after it.
    """

    settings: Settings
    base: Path = field(default_factory=Path)
    source: str | None = None
    source_name: str | None = None
    energy_source: str | None = None
    quick: bool = False
    single: bool = False
    retry_failed: bool = False
