"""Where llama.cpp works: which of its devices hold the model, and by which names their energy is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llenergymeasure.backends.llamacpp_options import LlamaCppOptions
from llenergymeasure.errors import BackendError

# The engine names its devices after the library that drives them.
_DEVICES = {"CUDA": "cuda", "ROCm": "cuda", "MTL": "mps", "Metal": "mps", "SYCL": "xpu"}

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True)
class Placement:
    """The device, the ids of the parts of it that work, and the bytes of memory that are free there."""

    device: str
    device_ids: tuple[str, ...]
    memory_free_bytes: int


def device_words(engine: Any) -> tuple[str, ...]:
    """The devices that this build of the engine sees, ``cpu`` first."""
    return tuple(dict.fromkeys(("cpu", *(_word(device) for device in _accelerators(engine)))))


def place(engine: Any, params: Any, device: str, options: LlamaCppOptions) -> Placement:
    """Decide where the model goes and write it into the engine's parameters, after the options.

    Raises ``BackendError`` for a device that is not here, or that the options contradict.
    """
    layers = options.n_gpu_layers
    accelerators = [found for found in _accelerators(engine) if device in ("auto", _word(found))]
    if device == "cpu" or not accelerators or (device == "auto" and layers == 0):
        if device not in ("auto", "cpu"):
            raise BackendError(
                f"device {device}: xllamacpp as installed here works on {', '.join(device_words(engine))}",
                hint="install the wheel that is built for this device, or leave device out",
            )
        if layers:
            raise BackendError(
                f"n_gpu_layers {layers}: there is no accelerator to hold them", hint="leave it out, or set it to 0"
            )
        # Without layers an accelerator would still be lent the large products of prefill.
        params.n_gpu_layers, params.no_op_offload, params.no_kv_offload = 0, True, True
        return Placement("cpu", ("cpu",), sum(found["memory_free"] for found in _of_type(engine, "CPU")))
    if layers == 0:
        raise BackendError(f"device {device} and n_gpu_layers 0 contradict each other", hint="leave one of them out")
    if options.split_mode == "none":
        accelerators = accelerators[params.main_gpu : params.main_gpu + 1]
    ids = tuple(_id(found) for found in accelerators)
    return Placement(_word(accelerators[0]), ids, sum(found["memory_free"] for found in accelerators))


def _accelerators(engine: Any) -> list[Any]:
    """Cards of their own; without one, what is integrated."""
    return _of_type(engine, "GPU") or _of_type(engine, "IGPU")


def _of_type(engine: Any, kind: str) -> list[Any]:
    wanted = engine.ggml_backend_dev_type[f"GGML_BACKEND_DEVICE_TYPE_{kind}"]
    return [device for device in engine.get_device_info() if device["type"] == wanted]


def _word(device: Any) -> str:
    name = str(device["name"]).rstrip("0123456789")
    return _DEVICES.get(name, name.lower())


def _id(device: Any) -> str:
    """A GPU's UUID where NVIDIA's driver tells it for the bus address; else the engine's name for the device."""
    try:
        lines = (_NVIDIA_DRIVER / device["device_id"].lower() / "information").read_text(encoding="ascii").splitlines()
    except OSError:
        return str(device["name"])
    uuids = [line.split(":", 1)[1].strip() for line in lines if line.startswith("GPU UUID")]
    return uuids[0] if uuids else str(device["name"])
