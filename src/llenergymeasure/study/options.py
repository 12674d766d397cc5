"""How a run was asked for, beside what is to be measured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.settings import Settings, effective_settings
from llenergymeasure.config.study import ExecutionConfig, StudyConfig
from llenergymeasure.config.user import load_user_config
from llenergymeasure.plan.resolve import short_name

# Warm-up prompts prepared beside the window's; fewer batches than this are rarely needed before it is steady.
WARMUP_PROMPTS = 64


@dataclass(frozen=True, slots=True)
class RunOptions:
    """``base`` is the folder that relative paths of the configuration start from; ``source`` the file's text, kept as given.

    ``energy_source`` is a flag's and beats the file and the settings. ``quick``: other defaults, and results are marked
    preliminary. ``single``: one experiment, named after it. ``lock``: wait for other studies on the same devices.
    ``notify``: tell the webhook in any case.
    """

    settings: Settings
    base: Path = field(default_factory=Path)
    source: str | None = None
    source_name: str | None = None
    energy_source: str | None = None
    quick: bool = False
    single: bool = False
    retry_failed: bool = False
    lock: bool = True
    notify: bool = False


def settings_here(flags: Mapping[str, Any]) -> Settings:
    """The effective settings of this process: user configuration, environment variables, then ``flags``."""
    return effective_settings(load_user_config(), os.environ, flags)


def study_of_one(experiment: ExperimentConfig, cycles: int = 1) -> StudyConfig:
    """A single experiment as the study that it is."""
    return StudyConfig(
        name=short_name(experiment.model),
        ready=(experiment,),
        execution=ExecutionConfig(n_cycles=cycles),
    )
