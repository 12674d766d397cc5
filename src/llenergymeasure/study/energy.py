"""Which energy source a study asks for, and what would be read of it."""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.settings import Settings
from llenergymeasure.model.reading import SourceVerdict

# Sources with nothing behind them that has an idle of its own.
_NO_SENSOR = ("estimate", "codecarbon", "none")


def energy_in_words(verdicts: Sequence[SourceVerdict]) -> str:
    """``nvml, 1 × NVIDIA H100 (gpu): energy counter``: the sources that will be read, or that none is."""
    chosen = [f"{verdict.source}, {verdict.reason}" for verdict in verdicts if verdict.chosen]
    return "; ".join(chosen) or "nothing can be read: joules will be missing"


def reads_sensor(verdicts: Sequence[SourceVerdict]) -> bool:
    """Whether a real sensor is among what will be read."""
    return any(verdict.chosen and verdict.source not in _NO_SENSOR for verdict in verdicts)


def energy_wish(config: ExperimentConfig, settings: Settings, flag: str | None) -> str:
    """The energy source asked for: flag, else file, else variable or user configuration."""
    if flag is not None:
        return flag
    if "source" in config.energy.model_fields_set:
        return config.energy.source
    return settings.values.measurement.energy_source
