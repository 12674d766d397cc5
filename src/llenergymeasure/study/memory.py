"""Whether the experiments of a plan fit their devices: said before the first of them loads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from llenergymeasure.backends.memory import Workload
from llenergymeasure.config import backend_section
from llenergymeasure.energy.visible import Gpu as VisibleGpu
from llenergymeasure.energy.visible import visible_gpus
from llenergymeasure.errors import EnergyError
from llenergymeasure.machine.gpus import gpus
from llenergymeasure.machine.installed import available_memory_bytes
from llenergymeasure.model.inputs import InputsDescription, read_inputs
from llenergymeasure.model.machine import Gpu
from llenergymeasure.plan.forecast import MemoryForecast, forecast_memory
from llenergymeasure.plan.plan import Plan, PlannedExperiment
from llenergymeasure.schema.numbers import mebibytes


def memory_warnings(plan: Plan, inputs: Path) -> Iterator[str]:
    """A line for each experiment that is forecast not to fit; ``inputs`` holds the prepared inputs by name."""
    boards = visible_boards(os.environ)
    descriptions: dict[str, InputsDescription] = {}
    for experiment in plan.experiments:
        if experiment.inputs not in descriptions:
            descriptions[experiment.inputs] = read_inputs(inputs / experiment.inputs).description
        forecast = _forecast(experiment, descriptions[experiment.inputs], boards)
        if forecast.verdict == "will not fit" and forecast.need is not None:
            needed, there = mebibytes(forecast.need.peak_bytes), mebibytes(forecast.available_bytes)
            yield f"will not fit: {experiment.label} takes about {needed}, {experiment.device} has {there}; it is tried"


def device_bytes(device: str, boards: Sequence[Gpu]) -> tuple[int | None, str]:
    """(bytes that a worker can have on a kind of device, why they are not known)."""
    if device in ("cpu", "mps"):
        return available_memory_bytes(), ""
    if device != "cuda" or not boards:
        return None, f"there is no {device} here whose memory is known"
    return boards[0].memory_bytes, "" if boards[0].memory_bytes else f"{boards[0].name} does not say its memory"


def visible_boards(environment: Mapping[str, str]) -> tuple[Gpu, ...]:
    """The GPUs that a worker would see; all, where that cannot be told."""
    boards = {gpu.uuid: gpu for gpu in gpus()}
    try:
        seen = visible_gpus(tuple(VisibleGpu(gpu.uuid, gpu.name) for gpu in boards.values()), environment)
    except EnergyError:
        seen = tuple(boards)
    return tuple(boards[uuid] for uuid in seen)


def _forecast(experiment: PlannedExperiment, inputs: InputsDescription, boards: Sequence[Gpu]) -> MemoryForecast:
    name, decoder = experiment.backend.name, experiment.decoder
    options, _ = backend_section.validated(name, experiment.backend.options)
    outputs = (decoder.max_new_tokens if own is None else own for own in inputs.max_new_tokens)
    workload = Workload(
        model=experiment.model,
        weights=experiment.weights,
        precision=experiment.precision,
        device=experiment.device,
        options=options,
        sequences=min(experiment.concurrency, experiment.n) * (decoder.num_beams or 1),
        input_tokens=max(inputs.lengths),
        output_tokens=max(outputs),
        drafting=experiment.draft_model is not None,
    )
    return forecast_memory(backend_section.spec_of(name), workload, *device_bytes(experiment.device, boards))
