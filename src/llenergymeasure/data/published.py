"""Figures that others published, from ``published.json``, to hold a result against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedCurve:
    """Energy per output token over the number of requests served together, of one model on one kind of board.

    ``models`` are names without owner and tuning (``Llama-3.1-8B``); ``device`` is a name as ``device_name`` gives it; ``points``
    are (requests together, J per output token) in order of the first; the energy is that of the GPUs.
    """

    models: tuple[str, ...]
    weights: str
    device: str
    devices: int
    engine: str
    task: str
    source: str
    points: tuple[tuple[float, float], ...]

    @property
    def conditions(self) -> str:
        """What was measured: model, weights, boards, engine, task."""
        return f"{self.models[0]} ({self.weights}) on {self.devices} × {self.device}, {self.engine}, {self.task}"


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """One number with what it is of; too few conditions are known to hold a result against it."""

    what: str
    value: float
    unit: str
    source: str


@cache
def published_curves() -> tuple[PublishedCurve, ...]:
    """All curves of the table."""
    table = _table()
    return tuple(
        PublishedCurve(
            models=tuple(curve["models"]),
            weights=curve["weights"],
            device=curve["device"],
            devices=curve["devices"],
            engine=curve["engine"],
            task=curve["task"],
            source=table["sources"][curve["source"]],
            points=tuple((float(together), float(energy_j)) for together, energy_j in curve["points"]),
        )
        for curve in table["curves"]
    )


@cache
def published_figures() -> tuple[PublishedFigure, ...]:
    """All single figures of the table."""
    table = _table()
    return tuple(
        PublishedFigure(figure["what"], float(figure["value"]), figure["unit"], table["sources"][figure["source"]])
        for figure in table["figures"]
    )


@cache
def _table() -> Any:
    return json.loads(files("llenergymeasure.data").joinpath("published.json").read_text(encoding="utf-8"))
