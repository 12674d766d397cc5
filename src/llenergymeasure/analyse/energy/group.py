"""The groups of a result that say where its energy went: by device, at rest, on the node, and by GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from llenergymeasure.analyse.energy.headline import TrialEnergy, energy_of_window
from llenergymeasure.analyse.energy.phases import phases
from llenergymeasure.analyse.energy.rest import Rest, net_energy
from llenergymeasure.analyse.energy.within_run import WithinRun
from llenergymeasure.analyse.energy.witness import witnesses
from llenergymeasure.model.codec import encode
from llenergymeasure.model.mark import Interval, interval_of
from llenergymeasure.model.reading import ENERGY_KINDS
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.energy import BaselinePower, DomainEnergy, EnergyGroup, MultiGpuGroup
from llenergymeasure.schema.quantity import Quantity, missing


def energy_group(
    trace: Trace,
    window: Interval,
    energy: TrialEnergy,
    within: WithinRun,
    rests: Mapping[str, Rest],
    baseline: Rest,
) -> EnergyGroup:
    """Everything about joules that is not the headline."""
    load = interval_of(trace.head.marks, "load")
    opened = missing("J", "the trial marks no loading") if load is None else energy_of_window(trace, load).total_j
    prefill_j, decode_j = phases(trace)
    return EnergyGroup(
        domains=tuple(_with_net(part, window, baseline) for part in energy.parts),
        bystanders=tuple(
            part.model_copy(update={"net_j": missing("J", "it did not work")}) for part in energy.bystanders
        ),
        sources=tuple(encode(verdict) for verdict in trace.head.verdicts),
        baseline_power_w=BaselinePower(**{phase: found.power_w for phase, found in rests.items()}),
        load_energy_j=opened,
        energy_per_device_j=_per_device(energy),
        cross_checks=tuple(check.record for check in energy.checks),
        node_j=energy.node_j,
        node_missing=energy.node_missing,
        witnesses=witnesses(trace.readout),
        sensor_profiles=tuple(_sensor_profiles(trace)),
        start_temperature_c={device: found.start_c for device, found in within.warming.items()},
        prefill_j=prefill_j,
        decode_j=decode_j,
    )


def _with_net(part: DomainEnergy, window: Interval, baseline: Rest) -> DomainEnergy:
    idle = baseline.domains.get((part.device, part.domain))
    return part.model_copy(update={"net_j": net_energy(part.gross_j, idle, window, baseline.power_w.reason)})


def _sensor_profiles(trace: Trace) -> Iterator[dict[str, object]]:
    """What was found out about the channels that energy is read of, on their boards."""
    for channel in trace.head.channels:
        if channel.kind in ENERGY_KINDS and (channel.profile is not None or channel.calibration is not None):
            names = {key: getattr(channel, key) for key in ("source", "device", "domain", "kind")}
            yield {**names, "profile": encode(channel.profile), "calibration": encode(channel.calibration)}


def _per_device(energy: TrialEnergy) -> dict[str, float]:
    """The parts of the headline, by device."""
    joules: dict[str, float] = {}
    for part in energy.parts:
        if part.in_headline and part.gross_j.value is not None:
            joules[part.device] = joules.get(part.device, 0.0) + part.gross_j.value
    return joules


def multi_gpu(energy: TrialEnergy, per_token: Quantity) -> MultiGpuGroup | None:
    """Energy by GPU; ``None`` for one, or none."""
    by_gpu = {
        part.device: part.gross_j.value
        for part in energy.parts
        if part.in_headline and part.domain in ("gpu", "module") and part.gross_j.value is not None
    }
    if len(by_gpu) < 2:
        return None
    return MultiGpuGroup(
        num_gpus=len(by_gpu),
        energy_per_gpu_j=by_gpu,
        energy_total_j=math.fsum(by_gpu.values()),
        energy_per_output_token_j=per_token.value,
    )
