"""llenergymeasure: what a way of serving a language model costs, on your own hardware, with an honest uncertainty."""

from __future__ import annotations

from llenergymeasure._version import __version__

# What a type checker takes for true; importing typing for it would be most of what this import costs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from llenergymeasure.api import load_results, run_experiment, run_study
    from llenergymeasure.config.experiment import ExperimentConfig
    from llenergymeasure.config.study import StudyConfig
    from llenergymeasure.errors import (
        BackendError,
        ConfigError,
        EnergyError,
        ExperimentError,
        LLEMError,
        PreFlightError,
        StoreError,
        StudyError,
    )
    from llenergymeasure.measuring import measure
    from llenergymeasure.schema.experiment import ExperimentResult
    from llenergymeasure.schema.study import StudyResult

__all__ = [
    "BackendError",
    "ConfigError",
    "EnergyError",
    "ExperimentConfig",
    "ExperimentError",
    "ExperimentResult",
    "LLEMError",
    "PreFlightError",
    "StoreError",
    "StudyConfig",
    "StudyError",
    "StudyResult",
    "__version__",
    "load_results",
    "measure",
    "run_experiment",
    "run_study",
]

_HOME = {
    "load_results": "api",
    "measure": "measuring",
    "run_experiment": "api",
    "run_study": "api",
    "ExperimentConfig": "config.experiment",
    "StudyConfig": "config.study",
    "ExperimentResult": "schema.experiment",
    "StudyResult": "schema.study",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first asked for: ``import llenergymeasure`` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
