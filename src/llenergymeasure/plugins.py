"""The one table of what is built in, by seam and name, and the door for what others install.

A value is ``module:attribute``. Built-ins are looked up without a scan; installed entry points (groups
``llenergymeasure.<seam>``) are read only for a name that is not in the table, or for a listing.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from typing import Any, Literal

from llenergymeasure.errors import LLEMError

Seam = Literal["backends", "energy", "runners", "schedulers", "datasets"]

_BUILT_IN: dict[str, dict[str, str]] = {
    "backends": {
        "pytorch": "llenergymeasure.backends.pytorch:BACKEND",
        "vllm": "llenergymeasure.backends.vllm:BACKEND",
        "tensorrt": "llenergymeasure.backends.tensorrt:BACKEND",
        "llamacpp": "llenergymeasure.backends.llamacpp:BACKEND",
    },
    "energy": {
        "nvml": "llenergymeasure.energy.nvml:open_source",
        "rapl": "llenergymeasure.energy.rapl:open_source",
        "zeus": "llenergymeasure.energy.zeus:open_source",
        "estimate": "llenergymeasure.energy.estimate:open_source",
        "codecarbon": "llenergymeasure.energy.codecarbon:open_source",
    },
    "runners": {
        "local": "llenergymeasure.runners.local:open_runner",
        "venv": "llenergymeasure.runners.local:open_runner",
    },
    "schedulers": {"local": "llenergymeasure.schedulers.local:open_scheduler"},
    "datasets": {"mixed": "llenergymeasure.datasets.mixed:open_dataset"},
}

# Simulations: found by name, never listed and never a default.
_SIMULATED: dict[str, dict[str, str]] = {
    "backends": {
        "simulated": "llenergymeasure.testing.simulated_backend:BACKEND",
        "mapped_llamacpp": "llenergymeasure.testing.mapped_backend:mapped_llamacpp",
        "mapped_pytorch": "llenergymeasure.testing.mapped_backend:mapped_pytorch",
    },
    "energy": {"simulated": "llenergymeasure.testing.simulated_source:open_source"},
}


def names(seam: Seam) -> tuple[str, ...]:
    """Names of a seam: built-ins in the order of preference, then installed ones in alphabetical order."""
    return (*_BUILT_IN[seam], *sorted(set(_installed(seam)) - set(_BUILT_IN[seam])))


def built_in(seam: Seam) -> tuple[str, ...]:
    """Names of the built-ins alone, without a scan."""
    return tuple(_BUILT_IN[seam])


def is_known(seam: Seam, name: str) -> bool:
    """Whether ``load`` would find the name."""
    return name in _BUILT_IN[seam] or name in _SIMULATED.get(seam, {}) or name in _installed(seam)


def load(seam: Seam, name: str) -> Any:
    """The object behind a name. Raises ``LLEMError`` for an unknown name, or for a plug-in that cannot be imported."""
    target = _BUILT_IN[seam].get(name) or _SIMULATED.get(seam, {}).get(name)
    if target is None:
        target = _installed(seam).get(name)
    if target is None:
        what = "energy sources" if seam == "energy" else seam
        raise LLEMError(f"{name!r} is not one of the {what} known here", hint=f"known {what}: {', '.join(names(seam))}")
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a broken plug-in is named and stops nothing else
        raise LLEMError(f"the plug-in {name!r} ({target}) cannot be loaded: {error}") from error


def _installed(seam: Seam) -> dict[str, str]:
    return _scan(seam, tuple(sys.path))


@lru_cache(maxsize=32)
def _scan(seam: Seam, places: tuple[str, ...]) -> dict[str, str]:
    """One look at everything installed in ``places``: a file with a thousand unknown names asks a thousand times."""
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=f"llenergymeasure.{seam}")}
