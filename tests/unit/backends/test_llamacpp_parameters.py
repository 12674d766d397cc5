"""Options and devices of llama.cpp against a double of its parameters: the same names, the same kinds of constants."""

from __future__ import annotations

import enum
from types import SimpleNamespace

import pytest

from llenergymeasure.backends import llamacpp_device
from llenergymeasure.backends.llamacpp_device import device_words, place
from llenergymeasure.backends.llamacpp_options import LlamaCppOptions, effective_options, options_of, set_options
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import CodecError

FlashAttn = enum.IntEnum(
    "llama_flash_attn_type",
    {"LLAMA_FLASH_ATTN_TYPE_AUTO": -1, "LLAMA_FLASH_ATTN_TYPE_DISABLED": 0, "LLAMA_FLASH_ATTN_TYPE_ENABLED": 1},
)
GgmlType = enum.IntEnum(
    "ggml_type", {"GGML_TYPE_F32": 0, "GGML_TYPE_F16": 1, "GGML_TYPE_Q8_0": 8, "GGML_TYPE_IQ4_NL": 20}
)
SplitMode = enum.IntEnum(
    "llama_split_mode", {"LLAMA_SPLIT_MODE_NONE": 0, "LLAMA_SPLIT_MODE_LAYER": 1, "LLAMA_SPLIT_MODE_ROW": 2}
)
LoadMode = enum.IntEnum(
    "llama_load_mode",
    {f"LLAMA_LOAD_MODE_{word}": n for n, word in enumerate(("AUTO", "NONE", "MMAP", "MLOCK", "MMAP_MLOCK"), -1)},
)
Numa = enum.IntEnum("ggml_numa_strategy", {"GGML_NUMA_STRATEGY_DISABLED": 0, "GGML_NUMA_STRATEGY_ISOLATE": 2})
DeviceType = enum.IntEnum(
    "ggml_backend_dev_type", {f"GGML_BACKEND_DEVICE_TYPE_{w}": n for n, w in enumerate(("CPU", "GPU", "IGPU"))}
)


def parameters() -> SimpleNamespace:
    """The engine's defaults."""
    return SimpleNamespace(
        n_parallel=1,
        n_ctx=0,
        cache_prompt=True,
        n_batch=2048,
        n_ubatch=512,
        n_gpu_layers=-1,
        cpuparams=SimpleNamespace(n_threads=-1, poll=50),
        cpuparams_batch=SimpleNamespace(n_threads=-1, poll=50),
        flash_attn_type=FlashAttn.LLAMA_FLASH_ATTN_TYPE_AUTO,
        cache_type_k=GgmlType.GGML_TYPE_F16,
        cache_type_v=GgmlType.GGML_TYPE_F16,
        split_mode=SplitMode.LLAMA_SPLIT_MODE_LAYER,
        load_mode=LoadMode.LLAMA_LOAD_MODE_AUTO,
        numa=Numa.GGML_NUMA_STRATEGY_DISABLED,
        main_gpu=0,
        no_op_offload=False,
        no_kv_offload=False,
        cache_ram_mib=8192,
        cache_idle_slots=True,
        n_ctx_checkpoints=32,
        slot_prompt_similarity=0.1,
        speculative=SimpleNamespace(
            draft=SimpleNamespace(n_max=3, n_min=0, p_min=0.0, n_gpu_layers=-1, mparams=SimpleNamespace(path=""))
        ),
    )


def engine(*accelerators: tuple[str, str]) -> SimpleNamespace:
    """The engine on a machine with these devices, (name, type) each, besides its CPU."""
    devices = [("CPU", "CPU"), *accelerators]
    return SimpleNamespace(
        llama_flash_attn_type=FlashAttn,
        ggml_type=GgmlType,
        llama_split_mode=SplitMode,
        llama_load_mode=LoadMode,
        ggml_backend_dev_type=DeviceType,
        get_device_info=lambda: [
            {
                "name": name,
                "type": DeviceType[f"GGML_BACKEND_DEVICE_TYPE_{kind}"],
                "device_id": "" if kind == "CPU" else f"0000:0{place}:00.0",
                "memory_free": 1000 * place + 7,
            }
            for place, (name, kind) in enumerate(devices)
        ],
    )


CARDS = (("CUDA0", "GPU"), ("CUDA1", "GPU"))


def with_options(**options):
    params = parameters()
    set_options(engine(), params, LlamaCppOptions(**options))
    return params


def test_options_not_given_are_left_to_the_engine():
    """Only the number of slots and the prompt cache are set without being asked for."""
    params, untouched = with_options(), parameters()
    changed = {name for name in vars(params) if getattr(params, name) != getattr(untouched, name)}
    assert changed == {
        "cache_prompt",
        "cache_ram_mib",
        "cache_idle_slots",
        "n_ctx_checkpoints",
        "slot_prompt_similarity",
    }


def test_options_reach_the_engines_parameters():
    """Each option is written where the engine looks for it, words as its constants."""
    params = with_options(
        n_parallel=4, n_ctx=512, n_batch=64, n_ubatch=32, n_threads=3, n_threads_batch=5, n_gpu_layers=7, flash_attn=True,
        type_k="q8_0", type_v="iq4_nl", split_mode="row", draft_n_max=9, draft_n_min=2, draft_p_min=0.5, draft_n_gpu_layers=1,
    )  # fmt: skip
    assert (params.n_parallel, params.n_ctx, params.n_batch, params.n_ubatch, params.n_gpu_layers) == (
        4,
        512,
        64,
        32,
        7,
    )
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (3, 5)
    assert params.flash_attn_type is FlashAttn.LLAMA_FLASH_ATTN_TYPE_ENABLED
    assert (params.cache_type_k, params.cache_type_v) == (GgmlType.GGML_TYPE_Q8_0, GgmlType.GGML_TYPE_IQ4_NL)
    assert params.split_mode is SplitMode.LLAMA_SPLIT_MODE_ROW
    draft = params.speculative.draft
    assert (draft.n_max, draft.n_min, draft.p_min, draft.n_gpu_layers) == (9, 2, 0.5, 1)


@pytest.mark.parametrize(
    ("mapped", "locked", "mode"),
    [
        (None, None, "AUTO"),
        (None, False, "AUTO"),
        (None, True, "MMAP_MLOCK"),
        (True, None, "MMAP"),
        (True, True, "MMAP_MLOCK"),
        (False, None, "NONE"),
        (False, True, "MLOCK"),
    ],
)
def test_mapping_and_locking_are_one_mode_of_the_engine(mapped, locked, mode):
    """The two options together choose the engine's way of loading."""
    assert with_options(use_mmap=mapped, use_mlock=locked).load_mode.name == f"LLAMA_LOAD_MODE_{mode}"


def test_a_prompt_cache_that_is_asked_for_is_the_engines_own():
    """With cache_prompt nothing of the engine's reuse is turned off."""
    params = with_options(cache_prompt=True)
    assert (params.cache_prompt, params.cache_ram_mib, params.n_ctx_checkpoints) == (True, 8192, 32)


def test_effective_options_are_in_the_words_of_the_options():
    """What None became is told as the option would be written; draft options only where there is a draft model."""
    params = with_options(flash_attn=False, type_k="q8_0", passthrough_kwargs={"cpuparams.poll": 0})
    params.cpuparams.n_threads = 2
    told = effective_options(params, LlamaCppOptions(passthrough_kwargs={"cpuparams.poll": 0}))
    assert told["flash_attn"] is False
    assert (told["type_k"], told["type_v"], told["split_mode"], told["load_mode"]) == ("q8_0", "f16", "layer", "auto")
    assert (told["n_threads"], told["n_batch"], told["cpuparams.poll"]) == (2, 2048, 0)
    assert "draft_n_max" not in told
    params.speculative.draft.mparams.path = "draft.gguf"
    assert effective_options(params, LlamaCppOptions())["draft_n_max"] == 3


def test_arguments_pass_through_to_names_and_constants_of_the_engine():
    """An attribute at any depth is set, and a constant may be written as its last word."""
    params = with_options(passthrough_kwargs={"cpuparams.poll": 0, "numa": "isolate", "main_gpu": 1})
    assert (params.cpuparams.poll, params.numa, params.main_gpu) == (0, Numa.GGML_NUMA_STRATEGY_ISOLATE, 1)


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("main_gpus", 1, "has no 'main_gpus'", "did you mean 'main_gpu'?"),
        ("cpuparams.pol", 1, "has no 'pol'", "did you mean 'cpuparams.poll'?"),
        ("quite_unknown", 1, "has no 'quite_unknown'", ""),
        (
            "numa",
            "diagonal",
            "'diagonal' is not known",
            "valid: GGML_NUMA_STRATEGY_DISABLED, GGML_NUMA_STRATEGY_ISOLATE",
        ),
    ],
)
def test_an_argument_that_the_engine_does_not_have_is_refused(name, value, message, hint):
    """A wrong name or word is an error that says what would be right."""
    with pytest.raises(BackendError, match=message) as error:
        with_options(passthrough_kwargs={name: value})
    assert error.value.hint == hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_threads": 0}, "n_threads is at least 1"),
        ({"n_parallel": -1}, "n_parallel is at least 1"),
        ({"flash_attn": False, "type_v": "q8_0"}, "type_v q8_0 needs flash attention"),
        ({"passthrough_kwargs": {"cpuparams.n_threads": 4}}, "the option n_threads sets"),
        ({"passthrough_kwargs": {"load_mode": "mmap"}}, "use_mmap and use_mlock"),
        ({"passthrough_kwargs": {"model.path": "x"}}, "decided by the experiment"),
        ({"passthrough_kwargs": {"port": 80}}, "decided by the experiment"),
        ({"n_paralel": 2}, "unknown option 'n_paralel'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    """Numbers out of range, contradictions and names that something else decides never reach the engine."""
    with pytest.raises(BackendError, match=message):
        options_of(options)


def test_a_wrong_type_names_its_place():
    """An unknown type of the cache is an error at its option."""
    with pytest.raises(CodecError, match=r"llamacpp\.type_k"):
        options_of({"type_k": "q3_k"})


def test_without_an_accelerator_the_cpu_works():
    """On a machine with a CPU alone auto means the CPU, whose memory bounds the model."""
    params = parameters()
    found = place(engine(), params, "auto", LlamaCppOptions())
    assert (found.device, found.device_ids, found.memory_free_bytes) == ("cpu", ("cpu",), 7)
    assert (params.n_gpu_layers, params.no_op_offload, params.no_kv_offload) == (0, True, True)
    assert device_words(engine()) == ("cpu",)


@pytest.mark.parametrize(("device", "options"), [("cpu", {}), ("auto", {"n_gpu_layers": 0})])
def test_a_cpu_that_is_asked_for_gets_no_help(device, options):
    """With accelerators present, work on the CPU stays there whole."""
    params = parameters()
    assert place(engine(*CARDS), params, device, LlamaCppOptions(**options)).device_ids == ("cpu",)
    assert (params.n_gpu_layers, params.no_op_offload) == (0, True)


def test_every_card_works_unless_the_model_is_not_split(tmp_path, monkeypatch):
    """The ids are UUIDs where the driver tells them, of all cards, or of the main one alone."""
    monkeypatch.setattr(llamacpp_device, "_NVIDIA_DRIVER", tmp_path)
    information = tmp_path / "0000:01:00.0" / "information"
    information.parent.mkdir()
    information.write_text("Model: \t\t NVIDIA X\nGPU UUID: \t GPU-11\nBus Type: \t PCIe\n")
    found = place(engine(*CARDS), parameters(), "auto", LlamaCppOptions())
    assert (found.device, found.device_ids, found.memory_free_bytes) == ("cuda", ("GPU-11", "CUDA1"), 3014)
    params = parameters()
    params.main_gpu = 1
    alone = place(engine(*CARDS), params, "cuda", LlamaCppOptions(split_mode="none"))
    assert (alone.device_ids, alone.memory_free_bytes) == (("CUDA1",), 2007)
    assert params.n_gpu_layers == -1
    assert device_words(engine(*CARDS)) == ("cpu", "cuda")


def test_an_integrated_device_counts_when_there_is_no_card():
    """What is integrated works only where no card of its own does."""
    assert device_words(engine(("MTL0", "IGPU"))) == ("cpu", "mps")
    assert device_words(engine(("CUDA0", "GPU"), ("Vulkan0", "IGPU"))) == ("cpu", "cuda")


@pytest.mark.parametrize(
    ("device", "options", "cards", "message"),
    [
        ("cuda", {}, (), "xllamacpp as installed here works on cpu"),
        ("mps", {}, CARDS, "works on cpu, cuda"),
        ("auto", {"n_gpu_layers": 8}, (), "no accelerator"),
        ("cpu", {"n_gpu_layers": 8}, CARDS, "no accelerator"),
        ("cuda", {"n_gpu_layers": 0}, CARDS, "contradict"),
    ],
)
def test_a_device_that_is_not_here_is_refused(device, options, cards, message):
    """Asking for work where it cannot be done is an error, not silently done elsewhere."""
    with pytest.raises(BackendError, match=message) as error:
        place(engine(*cards), parameters(), device, LlamaCppOptions(**options))
    assert error.value.hint
