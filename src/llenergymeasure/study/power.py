"""Whether the caps and clocks that a study asks for can be set here, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.machine.power import PowerError, ask_permission, open_boards, refusals
from llenergymeasure.model.job import PowerKnobs
from llenergymeasure.plan.resolve import power_knobs


def power_problems(
    experiments: Iterable[tuple[ExperimentConfig, str]], *, ask: bool, nvml: Any = None
) -> Iterator[str]:
    """What stands in the way, of experiments with the device that each runs on.

    ``ask``: find out whether this user may set a limit, by setting the one that is in force. ``nvml`` is the vendor's binding
    unless one is given.
    """
    wanted = [(knobs, device) for config, device in experiments if (knobs := power_knobs(config)) is not None]
    for device in dict.fromkeys(device for _, device in wanted if device != "cuda"):
        yield f"power caps and clocks are for NVIDIA GPUs, and an experiment runs on {device} (leave out power)"
    if any(device == "cuda" for _, device in wanted):
        import pynvml

        yield from _of_boards(nvml or pynvml, dict.fromkeys(knobs for knobs, device in wanted if device == "cuda"), ask)


def _of_boards(nvml: Any, wanted: Iterable[PowerKnobs], ask: bool) -> Iterator[str]:
    try:
        boards = open_boards(nvml, os.environ)
        for knobs in wanted:
            yield from refusals(nvml, boards, knobs)
        if ask:
            ask_permission(nvml, boards)
    except PowerError as error:
        yield f"{error} ({error.hint})" if error.hint else str(error)


def power_notice(configs: Iterable[ExperimentConfig]) -> Iterator[str]:
    """What a run will change on the machine, in words."""
    if any(power_knobs(config) is not None for config in configs):
        yield (
            "power caps or clocks of the visible GPUs are set for the trials that ask for them and taken back after each; "
            "this needs an administrator's rights"
        )
