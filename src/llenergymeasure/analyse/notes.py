"""What is and is not controlled in a trial, in words, in terms of the sources and devices that took part."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.analyse.energy.headline import TrialEnergy
from llenergymeasure.model.machine import Gpu
from llenergymeasure.model.reading import Channel
from llenergymeasure.model.trace import Trace, TraceHead


def notes(trace: Trace, energy: TrialEnergy) -> Iterator[str]:
    """One sentence a fact: inputs and seed, how each source speaks of energy, clocks and limits of what worked."""
    head = trace.head
    yield f"inputs are fixed: {head.inputs.dataset}, ids {head.inputs.sha256[:12]}"
    yield _decoding(head)
    yield from dict.fromkeys(_source_notes(head, energy))
    if head.idle_reused is not None:
        yield f"idle power is that of {head.idle_reused.experiment_id}, {head.idle_reused.age_s:.0f} s before"
    if energy.total_j.value is None:
        yield f"no energy: {energy.total_j.reason}"
    for gpu in head.machine.gpus:
        if gpu.uuid in head.session.device_ids:
            yield from _gpu_notes(gpu)
    if head.machine.cpu_governor is None:
        yield "the CPU's frequency governor could not be read; its clocks were not controlled"
    else:
        yield f"the CPU's frequency governor was {head.machine.cpu_governor}"
    yield "other programs on this machine were not kept out"


def _decoding(head: TraceHead) -> str:
    decoder, seed = head.job.decoder, head.job.seed
    if decoder.decoding_strategy == "sampling":
        return f"sampling with seed {seed}: the same seed gives the same tokens on the same engine and devices only"
    return f"{decoder.decoding_strategy} decoding; seed {seed}"


def _source_notes(head: TraceHead, energy: TrialEnergy) -> Iterator[str]:
    for part in energy.parts:
        if not part.in_headline:
            continue
        if part.estimated:
            models = {channel.device: channel.cpu_power_model for channel in head.channels if channel.kind == "model"}
            model = models.get(part.device)
            yield "joules are bounds from CPU time and a model of power; compare them on this machine only"
            if model is not None:
                yield f"the model's power: {model.basis}"
            continue
        channel = next(
            (
                channel
                for channel in head.channels
                if (channel.source, channel.device, channel.domain) == (part.source, part.device, part.domain)
            ),
            None,
        )
        how = f"joules of {part.domain} from {part.source} ({part.method})"
        yield f"{how}; {_error(channel)}, the same for every run on this board"


def _error(channel: Channel | None) -> str:
    if channel is not None and channel.calibration is not None:
        return f"calibrated to ±{channel.calibration.u_gain * 100:.1f} % against {channel.calibration.reference}"
    if channel is None or channel.stated_error is None:
        return "its maker states no error"
    return f"its maker states ±{channel.stated_error * 100:.0f} %"


def _gpu_notes(gpu: Gpu) -> Iterator[str]:
    if gpu.power_limit_w is not None:
        yield f"{gpu.name}: power limit {gpu.power_limit_w:g} W"
    if gpu.application_sm_clock_mhz is not None and gpu.sm_clock_max_mhz is not None:
        yield f"{gpu.name}: clocks up to {gpu.sm_clock_max_mhz} MHz, {gpu.application_sm_clock_mhz} MHz asked for"
    else:
        yield f"{gpu.name}: clocks were not controlled"
