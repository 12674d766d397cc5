"""What the machine was like while it was measured: its supply, its boards' modes, and who else was there."""

from __future__ import annotations

from collections.abc import Iterator

from llenergymeasure.analyse.contention import contention
from llenergymeasure.analyse.energy.series import series_of
from llenergymeasure.model.machine import Gpu
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.validity import Remark, remark

# Ways of handing a board to virtual machines that leave it whole.
_WHOLE = (None, "none", "passthrough")


def condition_remarks(trace: Trace, window: Interval) -> Iterator[Remark]:
    """The remarks that the machine's state earns."""
    head = trace.head
    if on_battery := _on_battery(trace):
        yield remark("on_battery", on_battery)
    used = [gpu for gpu in head.machine.gpus if gpu.uuid in head.session.device_ids]
    if idle := [gpu.name for gpu in used if gpu.persistence_mode is False]:
        yield remark("persistence_mode_off", ", ".join(idle))
    if shared_out := [*_instances(head.session.device_ids), *_shared_out(used)]:
        yield remark("mig_or_vgpu", "; ".join(shared_out))
    found = contention(trace, window)
    if found.verdict == "shared":
        shared = [one for one in found.devices if one.verdict == "shared"]
        yield remark("contention", "; ".join(f"{one.device}: {'; '.join(one.evidence)}" for one in shared))
    if head.power_restored is not None and head.power_restored.problems:
        yield remark("power_not_restored", "; ".join(head.power_restored.problems))


def _on_battery(trace: Trace) -> str:
    """That the machine ran on its battery at any time, or an empty string."""
    for channel in trace.head.channels:
        if channel.kind == "on_battery":
            readings = series_of(trace.readings, channel.id).value
            if often := int((readings > 0).sum()):
                return f"the machine ran on its battery in {often} of {len(readings)} readings"
    return "the machine ran on its battery" if trace.head.machine.power_source == "battery" else ""


def _instances(device_ids: tuple[str, ...]) -> Iterator[str]:
    """Parts of a board that an engine names as its devices."""
    for device in device_ids:
        if device.startswith("MIG-"):
            yield f"{device} is an instance of a partitioned board"


def _shared_out(used: list[Gpu]) -> Iterator[str]:
    for gpu in used:
        if gpu.mig:
            yield f"{gpu.uuid} is in MIG mode: its meters are the whole board's"
        if gpu.virtualization not in _WHOLE:
            yield f"{gpu.uuid} is shared out to virtual machines ({gpu.virtualization})"
