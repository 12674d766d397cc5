"""An opened model: static batches through ``generate``, one stamp a step."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llenergymeasure.backends.contract import DeviceMemory, Sink
from llenergymeasure.backends.pytorch_batch import batches, own_tokens, padded_left, shapes
from llenergymeasure.backends.pytorch_engine import engine_errors, offline_transformers
from llenergymeasure.backends.pytorch_facts import (
    device_id,
    forget_memory_peaks,
    memory_peaks,
    precision_of,
    synchronize,
    weights_held,
    working_devices,
)
from llenergymeasure.backends.pytorch_generate import draft_arguments, generation_arguments, one_token_a_step
from llenergymeasure.backends.pytorch_load import Loaded
from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import JsonValue, encode
from llenergymeasure.model.event import SessionFacts
from llenergymeasure.model.inputs import read_inputs
from llenergymeasure.model.job import TrialJob
from llenergymeasure.model.request import Completion, Request

# Steps of a rehearsal: captured graphs are recorded in the second step after the prompt and replayed from the third on.
_REHEARSAL_TOKENS = 6


class StepStamps:
    """What ``generate`` calls after each step, once for the whole batch, with all ids so far.

    On an accelerator the ids may still be in the making: transformers itself waits for them only after this call. To wait
    here, by fetching one number, moves that wait and adds no other, save that the handful of tiny kernels of the end-of-batch
    check are queued after the wait (and on Apple GPUs, where transformers looks one step late, its step ahead is given up).
    So a stamp never precedes its token.
    """

    def __init__(self, stamp: Callable[[], None] | None, limits: Any | None, prompt_length: int) -> None:
        self._stamp = stamp
        self._limits = limits
        self._prompt_length = prompt_length

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """Which rows have reached their own limit; ``False`` when all share one, which ``generate`` knows."""
        if self._stamp is not None:
            if input_ids.device.type != "cpu":
                input_ids[0, -1].item()
            self._stamp()
        if self._limits is None:
            return False
        reached = self._limits <= input_ids.shape[1] - self._prompt_length
        return reached.repeat_interleave(len(input_ids) // len(reached))


class PyTorchSession:
    """Implements ``backends.contract.Session``. A request's end is known when its whole batch has ended, and stamped then."""

    def __init__(self, job: TrialJob, options: PyTorchOptions, loaded: Loaded, engine_version: str) -> None:
        self._job = job
        self._options = options
        self._loaded = loaded
        self._version = engine_version
        self._transformers = offline_transformers()
        self._devices = working_devices(loaded.model)
        self._ends = () if job.decoder.ignore_eos else loaded.special.end
        self._stamps = one_token_a_step(job.decoder)
        self._config = self._generation_config()
        self._weights = weights_held(loaded.model, options.quantization)
        self._compiles = self._may_compile() and self._rehearsed()
        forget_memory_peaks(self._devices)

    @property
    def concurrency(self) -> int:
        return self._options.batch_size

    def run(self, requests: Sequence[Request], sink: Sink) -> None:
        import torch

        if self._job.decoder.decoding_strategy == "sampling":
            # Each pass draws the same numbers, however long the warm-up was.
            torch.manual_seed(self._job.seed)
        for batch in batches(requests, self._options.batch_size, sort_by_length=self._options.sort_by_length):
            if sink.stopping():
                return
            self._run_batch(batch, sink)

    def _run_batch(self, batch: Sequence[Request], sink: Sink) -> None:
        import torch

        limits = [request.max_new_tokens for request in batch]
        with engine_errors("generating"), torch.inference_mode():
            ids, mask = self._tensors([request.input_ids for request in batch])
            own_limits = None if min(limits) == max(limits) else torch.tensor(limits, device=ids.device)
            number = sink.submitted(batch)
            stamp = (lambda: sink.step(number)) if self._stamps else None
            rows = self._generate(ids, mask, max(limits), StepStamps(stamp, own_limits, ids.shape[1]), self._config)
        finished_ns = sink.now_ns()
        for request, row in zip(batch, rows, strict=True):
            tokens, reason = own_tokens(row, request.max_new_tokens, self._ends)
            sink.finished(Completion(request.sequence, tokens, reason, finished_ns))

    def _tensors(self, prompts: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        import torch

        ids, mask = padded_left(prompts, self._loaded.special.pad)
        device = self._devices[0]
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _generate(self, ids: Any, mask: Any, max_new_tokens: int, stamps: StepStamps, config: Any) -> list[list[int]]:
        """The rows of new ids, on the host: the device has done its part when they are here."""
        config.max_new_tokens = max_new_tokens
        output = self._loaded.model.generate(
            ids,
            attention_mask=mask,
            generation_config=config,
            stopping_criteria=self._transformers.StoppingCriteriaList([stamps]),
            assistant_model=self._loaded.draft,
        )
        rows: list[list[int]] = output[:, ids.shape[1] :].tolist()
        return rows

    def _generation_config(self) -> Any:
        """The one configuration of a session; the models' own, which ``generate`` would mix in, are emptied."""
        transformers = self._transformers
        options, special = self._options, self._loaded.special
        self._loaded.model.generation_config = transformers.GenerationConfig()
        if self._loaded.draft is not None:
            draft = draft_arguments(options, special)
            self._loaded.draft.generation_config = transformers.GenerationConfig(**draft)
        with engine_errors("decoder"):
            longest = self._longest() if options.static_cache else None
            config = transformers.GenerationConfig(**generation_arguments(self._job.decoder, options, special, longest))
            if options.torch_compile:
                compile_config = transformers.CompileConfig()
                if options.compile_mode is not None:
                    compile_config.mode = options.compile_mode
                compile_config._compile_all_devices = True
                config.compile_config = compile_config
        return config

    def _longest(self) -> int:
        """Tokens of the longest prompt and the longest output of the study: every batch then uses a cache of one shape."""
        description = read_inputs(Path(self._job.inputs)).description
        outputs = [own or self._job.decoder.max_new_tokens for own in description.max_new_tokens]
        return max(description.lengths) + max(outputs)

    def _may_compile(self) -> bool:
        """Whether transformers would compile the decoding step: asked to, or by itself on an accelerator."""
        asked = self._options.torch_compile
        return self._options.static_cache and asked is not False and (bool(asked) or self._devices[0].type != "cpu")

    def _rehearsed(self) -> bool:
        """Compile now, while loading: each batch size of the study, with and without padding, for a few steps.

        True when the engine did compile; it goes on without a word to its caller where it cannot, which is refused if asked for.
        """
        import torch

        config = copy.deepcopy(self._config)
        config.eos_token_id = config.min_new_tokens = None
        with engine_errors("compiling"), torch.inference_mode():
            for size in shapes(self._job.n, self._options.batch_size):
                for first in (2, 1) if size > 1 else (2,):
                    prompts = [(self._loaded.special.pad,) * length for length in (first, *[2] * (size - 1))]
                    ids, mask = self._tensors(prompts)
                    self._generate(ids, mask, _REHEARSAL_TOKENS, StepStamps(None, None, 2), config)
        self.synchronize()
        compiled = hasattr(self._loaded.model, "_compiled_call")
        if self._options.torch_compile and not compiled:
            raise BackendError("transformers does not compile this model here", hint="leave out pytorch.torch_compile")
        return compiled

    def facts(self) -> SessionFacts:
        import torch

        model = self._loaded.model
        return SessionFacts(
            engine="transformers",
            engine_version=self._version,
            batching="static",
            device=self._devices[0].type,
            device_ids=tuple(device_id(device) for device in self._devices),
            precision=precision_of(model),
            weight_types=self._weights.types,
            parameters=self._loaded.parameters,
            weight_bytes=self._weights.total_bytes,
            kv_element_bytes=None if self._options.cache == "quantized" else float(model.dtype.itemsize),
            attention=model.config._attn_implementation,
            threads=torch.get_num_threads(),
            effective_options=self._effective_options(),
        )

    def _effective_options(self) -> Mapping[str, JsonValue]:
        """Every option with a value: the ones left to the engine with what they became."""
        import torch

        model = self._loaded.model
        became: dict[str, JsonValue] = {
            "attn_implementation": model.config._attn_implementation,
            "cache_implementation": self._options.cache,
            "torch_compile": self._compiles,
            "num_threads": torch.get_num_threads(),
            "low_cpu_mem_usage": True,
            "pad_token_id": self._loaded.special.pad,
            "eos_token_ids": self._ends,
            "max_cache_len": self._config.max_cache_len,
        }
        if self._compiles:
            became["compile_mode"] = self._options.compile_mode or self._transformers.CompileConfig().mode
        if getattr(model, "hf_device_map", None):
            became["device_map"] = {str(name): str(place) for name, place in model.hf_device_map.items()}
        values = {**encode(self._options), **became}
        return {name: value for name, value in values.items() if value not in (None, {})}

    def synchronize(self) -> None:
        with engine_errors("waiting for the device"):
            synchronize(self._devices)

    def memory(self) -> DeviceMemory:
        return memory_peaks(self._devices)

    def close(self) -> None:
        import torch

        del self._loaded
        gc.collect()
        for device in self._devices:
            if device.type in ("cuda", "xpu", "mps"):
                getattr(torch, device.type).empty_cache()
