"""What a loaded model holds and where: asked of torch, not of the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llenergymeasure.backends.contract import DeviceMemory

_NAMES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64", "qint8": "int8"}

# What the packed bytes of a quantisation mean.
_PACKED = {"bnb-nf4": "nf4", "gguf": "gguf"}


@dataclass(frozen=True, slots=True)
class Weights:
    """Types of the weights in memory, the one with most bytes first, scales of quantisation included; and all their bytes."""

    types: tuple[str, ...]
    total_bytes: int


def weights_held(model: Any, quantization: str | None) -> Weights:
    """Look at every stored tensor of a model once; weights that are tied count once, single numbers are no weights."""
    held: Counter[str] = Counter()
    seen = set()
    for value in model.state_dict().values():
        for tensor in _plain_tensors(value):
            where = (tensor.device, tensor.data_ptr(), tensor.numel())
            if where not in seen and tensor.numel() > 1:
                seen.add(where)
                held[_type_name(tensor, quantization)] += tensor.numel() * tensor.element_size()
    return Weights(tuple(name for name, _ in held.most_common()), sum(held.values()))


def _plain_tensors(value: Any) -> Iterator[Any]:
    """The tensors that hold a state's entry: packed pairs and tensors made of tensors are taken apart."""
    import torch

    if isinstance(value, tuple):
        for item in value:
            yield from _plain_tensors(item)
    elif isinstance(value, torch.Tensor):
        if hasattr(value, "__tensor_flatten__"):
            for name in value.__tensor_flatten__()[0]:
                yield from _plain_tensors(getattr(value, name))
        else:
            yield value


def _type_name(tensor: Any, quantization: str | None) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "uint8" and quantization in _PACKED:
        return _PACKED[quantization]
    return _NAMES.get(name, name)


def precision_of(model: Any) -> str:
    """The type in which the model computes outside of quantised weights."""
    name = str(model.dtype).removeprefix("torch.")
    return _NAMES.get(name, name)


def working_devices(model: Any) -> tuple[Any, ...]:
    """The devices that compute, in the order of their numbers; with an accelerator, the CPU only lends it memory."""
    import torch

    places = {tensor.device for tensor in model.parameters()}
    mapped = getattr(model, "hf_device_map", {}).values()
    places |= {
        torch.device("cuda", place) if isinstance(place, int) else torch.device(place)
        for place in mapped
        if place != "disk"
    }
    places = {_numbered(place) for place in places if place.type != "meta"}
    accelerators = {place for place in places if place.type != "cpu"}
    return tuple(sorted(accelerators or places, key=lambda place: (place.type, place.index or 0)))


def _numbered(place: Any) -> Any:
    import torch

    return torch.device(place.type, 0) if place.type != "cpu" and place.index is None else place


def device_id(device: Any) -> str:
    """The name by which energy sources know a device: a GPU's UUID as its driver prints it, or ``cpu``."""
    import torch

    if device.type == "cpu":
        return "cpu"
    if device.type == "cuda":
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
        if uuid is not None:
            return f"GPU-{uuid}"
    return f"{device.type}:{device.index}"


def synchronize(devices: tuple[Any, ...]) -> None:
    """Return when each device has done what it was given."""
    import torch

    for device in devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "xpu":
            torch.xpu.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()


def _counting(devices: tuple[Any, ...]) -> tuple[Any, ...]:
    """(device, torch's module for it) where torch counts memory peaks."""
    import torch

    modules = {"cuda": torch.cuda, "xpu": getattr(torch, "xpu", None)}
    return tuple((device, modules[device.type]) for device in devices if modules.get(device.type) is not None)


def forget_memory_peaks(devices: tuple[Any, ...]) -> None:
    """Peaks count from now on."""
    for device, module in _counting(devices):
        module.reset_peak_memory_stats(device)


def memory_peaks(devices: tuple[Any, ...]) -> DeviceMemory:
    """Peaks over the devices together; ``None`` where nobody counts."""
    counting = _counting(devices)
    if not counting:
        return DeviceMemory()
    return DeviceMemory(
        sum(module.max_memory_allocated(device) for device, module in counting),
        sum(module.max_memory_reserved(device) for device, module in counting),
    )
