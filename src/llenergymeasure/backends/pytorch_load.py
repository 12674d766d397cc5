"""Loading: weights real or random, their type and place, adapters, and the draft model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llenergymeasure.backends.pytorch_engine import (
    available_devices,
    engine_errors,
    missing_library,
    offline_transformers,
)
from llenergymeasure.backends.pytorch_generate import SpecialTokens
from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.backends.pytorch_quantize import check_quantization, loading_config, quantized
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import Lora, ModelRef, TrialJob

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in memory. ``parameters`` counts every weight once, as it was before it was quantised."""

    model: Any
    draft: Any | None
    parameters: int
    special: SpecialTokens


def load(job: TrialJob, options: PyTorchOptions) -> Loaded:
    """Everything that the job asks to be in memory. Raises ``BackendError`` or ``MemoryError``."""
    devices = available_devices()
    device = devices[0] if job.device == "auto" else job.device
    if device not in devices:
        raise BackendError(
            f"torch finds no {device} here", hint=f"device: {devices[0]}, or a build of torch for {device}"
        )
    _check(job, options, device)
    with engine_errors(f"loading {job.model.name}"):
        model = _placed_model(job, options, device)
    if job.lora is not None:
        model = _with_adapter(model, job.lora)
    parameters = model.num_parameters()
    special = special_tokens(model)
    if options.quantization is not None:
        with engine_errors(f"quantization {options.quantization}"):
            model = quantized(model, options.quantization)
    draft = None
    if job.draft_model is not None and job.decoder.speculative_decoding:
        draft = _draft(job, job.draft_model, device, vocabulary=model.config.get_text_config().vocab_size)
    for each in (model, draft):
        if each is not None:
            # Not ``requires_grad_(False)``: nobody computes gradients in inference mode, and without the flag torch on a CPU
            # multiplies the last states of a prompt's batch by a copy of the whole head for each sequence.
            each.eval()
    return Loaded(model, draft, parameters, special)


def _check(job: TrialJob, options: PyTorchOptions, device: str) -> None:
    """Raise ``BackendError`` for what would fail, or be ignored without a word, once everything is loaded."""
    if options.quantization is not None:
        check_quantization(options.quantization, job, device)
    packed = [ref for ref in (job.model, job.draft_model) if ref is not None and ref.format == "gguf"]
    if packed and options.quantization != "gguf":
        raise BackendError(f"{packed[0].name} is a GGUF file", hint="a convert job makes a directory of it")
    if options.cache == "quantized" and find_spec("optimum") is None:
        raise missing_library("cache_implementation quantized", "optimum-quanto")
    if options.tp_plan is not None and int(os.environ.get("WORLD_SIZE", "1")) < 2:
        raise BackendError(
            "tensor parallelism needs several processes, and this worker is alone",
            hint="start it under torchrun, or spread the layers with pytorch.device_map",
        )
    if device == "cpu" and options.device_map is not None and available_devices() != ("cpu",):
        raise BackendError("device_map spreads a model over accelerators, and the device is cpu", hint="device: auto")


def special_tokens(model: Any) -> SpecialTokens:
    """End tokens as the model's files name them; padding falls back to one of them, then to 0."""
    generation, config = model.generation_config, model.config.get_text_config()
    end = generation.eos_token_id if generation.eos_token_id is not None else getattr(config, "eos_token_id", None)
    ends = () if end is None else tuple(end) if isinstance(end, (list, tuple)) else (end,)
    pads = (generation.pad_token_id, getattr(config, "pad_token_id", None), *ends, 0)
    return SpecialTokens(ends, next(pad for pad in pads if pad is not None and pad >= 0))


def _placed_model(job: TrialJob, options: PyTorchOptions, device: str) -> Any:
    arguments: dict[str, Any] = {
        "dtype": _dtype(job),
        "trust_remote_code": job.trust_remote_code,
        "local_files_only": True,
        **options.passthrough_kwargs,
    }
    for name in ("attn_implementation", "tp_plan"):
        value = getattr(options, name)
        if value is not None:
            arguments[name] = value
    if options.quantization is not None:
        config = loading_config(options.quantization, arguments["dtype"])
        if config is not None:
            arguments["quantization_config"] = config
    if options.device_map is not None:
        arguments["device_map"] = options.device_map
    elif device != "cpu" or arguments.get("quantization_config") is not None:
        # Straight to the device: the CPU's memory need not hold the model.
        arguments["device_map"] = {"": device}
    if arguments.get("device_map") is not None and find_spec("accelerate") is None:
        raise missing_library("placing the weights", "accelerate")
    if job.weights == "random":
        return _random_model(job, options, arguments, device)
    return _stored_model(job.model, arguments)


def _dtype(job: TrialJob) -> Any:
    """The type of the weights; ``auto``, the type of the first one stored, where neither job nor model names one."""
    import torch

    if job.precision != "as_stored":
        return getattr(torch, _DTYPES[job.precision])
    return (_config(job).dtype if job.model.format == "directory" else None) or "auto"


def _config(job: TrialJob) -> Any:
    return offline_transformers().AutoConfig.from_pretrained(
        job.model.path, trust_remote_code=job.trust_remote_code, local_files_only=True
    )


def _stored_model(ref: ModelRef, arguments: dict[str, Any]) -> Any:
    """Weights from files. A weight that the files lack is an error: transformers would make it up."""
    folder = ref.path
    if ref.format == "gguf":
        folder, arguments = str(Path(ref.path).parent), {**arguments, "gguf_file": Path(ref.path).name}
    model, report = offline_transformers().AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True, **arguments
    )
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise BackendError(
            f"{ref.name}: {len(missing)} weights are not in its files, the first {missing[0]}",
            hint="the download is incomplete, or the model is of another architecture than its config.json says",
        )
    return model


def _random_model(job: TrialJob, options: PyTorchOptions, arguments: dict[str, Any], device: str) -> Any:
    """The architecture alone, filled by the model's own initialisation: numbers of a trained model's scale, never zeros.

    Made on the device itself, unless the loader has something to do to it: then made on the CPU and loaded from there.
    """
    import torch

    config = _config(job)
    dtype = torch.float32 if arguments["dtype"] == "auto" else arguments["dtype"]
    reload = bool(
        options.device_map or options.tp_plan or options.passthrough_kwargs or "quantization_config" in arguments
    )
    own = {key: arguments[key] for key in ("attn_implementation", "trust_remote_code") if key in arguments}
    torch.manual_seed(job.seed)
    with torch.device("cpu" if reload else device):
        model = offline_transformers().AutoModelForCausalLM.from_config(config, dtype=dtype, **own)
    if not reload:
        return model
    del arguments["trust_remote_code"]
    return type(model).from_pretrained(
        None, config=config, state_dict=model.state_dict(), **{**arguments, "dtype": dtype}
    )


def _with_adapter(model: Any, lora: Lora) -> Any:
    """The model with the adapter's layers in place, or with their product added to its weights."""
    if find_spec("peft") is None:
        raise missing_library("LoRA", "peft")
    peft = import_module("peft")
    with engine_errors(f"adapter {lora.name}"):
        adapted = peft.PeftModel.from_pretrained(model, lora.path, local_files_only=True, autocast_adapter_dtype=False)
        if adapted.active_peft_config.is_prompt_learning:
            raise BackendError(f"adapter {lora.name} is no LoRA: it changes the prompt, not the weights")
        if lora.merge_weights:
            return adapted.merge_and_unload(safe_merge=True)
        return adapted.get_base_model()


def _draft(job: TrialJob, ref: ModelRef, device: str, *, vocabulary: int) -> Any:
    with engine_errors(f"loading draft model {ref.name}"):
        arguments: dict[str, Any] = {"dtype": _dtype(job), "local_files_only": True}
        if device != "cpu":
            arguments["device_map"] = {"": device}
        draft = _stored_model(ref, {**arguments, "trust_remote_code": job.trust_remote_code})
    own = draft.config.get_text_config().vocab_size
    if own != vocabulary:
        raise BackendError(
            f"draft model {ref.name} has a vocabulary of {own}, the model one of {vocabulary}",
            hint="choose a draft model of the same family",
        )
    return draft
