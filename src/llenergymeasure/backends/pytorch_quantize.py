"""Quantisation by name: the library it needs, what the loader is told, and what is done to a loaded model."""

from __future__ import annotations

import logging
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from llenergymeasure.backends.pytorch_engine import missing_library, offline_transformers
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import TrialJob

# Packages that must be there, in the order in which they are looked for.
_NEEDS = {
    "bnb-int8": ("bitsandbytes", "accelerate"),
    "bnb-nf4": ("bitsandbytes", "accelerate"),
    "torchao-int8wo": ("torchao", "accelerate"),
    "torchao-int8dq": ("torchao", "accelerate"),
    "dynamic-int8": (),
    "gguf": ("gguf", "kernels"),
}


def check_quantization(name: str, job: TrialJob, device: str) -> None:
    """Raise ``BackendError`` when it cannot be applied: before anything is loaded."""
    for package in _NEEDS[name]:
        if find_spec(package) is None:
            raise missing_library(f"quantization {name}", package)
    if name == "dynamic-int8":
        if device != "cpu":
            raise BackendError(f"dynamic-int8 runs on a CPU only, not on {device}", hint="device: cpu")
        if job.precision != "fp32":
            raise BackendError(
                f"dynamic-int8 computes in fp32 around its int8 layers, not in {job.precision}", hint="precision: fp32"
            )
        if job.lora is not None and not job.lora.merge_weights:
            raise BackendError("dynamic-int8 takes no adapter beside the weights", hint="lora.merge_weights: true")
    if name == "gguf" and (job.model.format != "gguf" or job.weights == "random"):
        raise BackendError(
            "quantization gguf keeps the blocks of a GGUF file, and the model is none", hint="leave it out"
        )


def loading_config(name: str, dtype: Any) -> Any:
    """The ``quantization_config`` of ``from_pretrained``; ``None`` where the model is quantised afterwards."""
    transformers = offline_transformers()
    if name == "bnb-int8":
        # It logs a line for each matrix multiplication in bf16: thousands a second, into the middle of the window.
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    if name == "bnb-nf4":
        return transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=None if dtype == "auto" else dtype
        )
    if name == "gguf":
        return transformers.GgufConfig()
    if name.startswith("torchao-"):
        torchao = import_module("torchao.quantization")
        method = {
            "torchao-int8wo": torchao.Int8WeightOnlyConfig,
            "torchao-int8dq": torchao.Int8DynamicActivationInt8WeightConfig,
        }[name]
        return transformers.TorchAoConfig(method())
    return None


def quantized(model: Any, name: str) -> Any:
    """The loaded model as ``name`` says: quantised now, or checked that loading did it. Raises ``BackendError``."""
    if name == "dynamic-int8":
        return _dynamic_int8(model)
    config = getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)
    if config is None or getattr(config, "dequantize", False):
        raise BackendError(
            f"quantization {name}: transformers has no kernel for it here and would compute with unpacked weights",
            hint="leave it out: a GGUF is then dequantised once, and precision says in which type it is held",
        )
    return model


def _dynamic_int8(model: Any) -> Any:
    torch: Any = import_module("torch")
    with warnings.catch_warnings():
        # Deprecated in favour of torchao, which needs one more library and is slower on a CPU.
        warnings.filterwarnings("ignore", message=r"torch\.ao\.quantization is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r"torch\.quantize_per_tensor", category=UserWarning)
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
