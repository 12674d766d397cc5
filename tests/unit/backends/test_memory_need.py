from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.backends import llamacpp_memory, pytorch_memory
from llenergymeasure.backends.llamacpp_options import LlamaCppOptions
from llenergymeasure.backends.memory import MIB, MemoryNeed, NotForeseen, Workload
from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.model.job import ModelRef
from llenergymeasure.model.machine import Architecture

_SHAPE = Architecture(
    family="llama",
    layers=30,
    hidden_size=576,
    attention_heads=9,
    key_value_heads=3,
    head_dim=64,
    vocabulary=49152,
    context_limit=8192,
    parameters=134_515_008,
    active_parameters=134_515_008,
    embedding_parameters=28_311_552,
    tied_embeddings=True,
    intermediate_size=1536,
)
_MODEL = ModelRef("small", "/models/small", "directory", architecture=_SHAPE, weight_bytes=4 * _SHAPE.parameters)


def _workload(**changes: Any) -> Workload:
    fields: dict[str, Any] = {
        "model": _MODEL,
        "weights": "real",
        "precision": "bf16",
        "device": "cpu",
        "options": PyTorchOptions(batch_size=4),
        "sequences": 4,
        "input_tokens": 128,
        "output_tokens": 32,
    }
    return Workload(**fields | changes)


def _slots(**changes: Any) -> Workload:
    model = replace(_MODEL, format="gguf", weight_bytes=96_576_768)
    workload = _workload(model=model, precision="as_stored", **changes)
    return replace(workload, options=LlamaCppOptions(n_parallel=workload.sequences))


def _need(found: MemoryNeed | NotForeseen) -> MemoryNeed:
    assert isinstance(found, MemoryNeed), found
    return found


_ENGINES = pytest.mark.parametrize(
    ("memory", "workload"),
    [(pytorch_memory.memory, _workload), (llamacpp_memory.memory, _slots)],
    ids=["pytorch", "llamacpp"],
)


@_ENGINES
@given(sequences=st.integers(1, 256), tokens=st.integers(1, 4096), output=st.integers(1, 2048), more=st.integers(1, 64))
def test_more_work_never_takes_less(
    memory: Callable[[Workload], MemoryNeed | NotForeseen],
    workload: Callable[..., Workload],
    sequences: int,
    tokens: int,
    output: int,
    more: int,
) -> None:
    """The need does not shrink with more sequences, longer prompts or longer answers."""
    base = {"sequences": sequences, "input_tokens": tokens, "output_tokens": output}
    need = _need(memory(workload(**base))).peak_bytes
    for key in base:
        assert _need(memory(workload(**base | {key: base[key] + more}))).peak_bytes >= need


@_ENGINES
def test_a_model_without_a_described_shape_is_declined_with_its_reason(
    memory: Callable[[Workload], MemoryNeed | NotForeseen], workload: Callable[..., Workload]
) -> None:
    """What cannot be counted is not guessed: the reason that the model's files give is passed on."""
    asked = workload()
    model = replace(asked.model, architecture=None, architecture_reason="latent attention")
    assert memory(replace(asked, model=model)) == NotForeseen("latent attention")


@_ENGINES
def test_a_draft_model_is_declined(
    memory: Callable[[Workload], MemoryNeed | NotForeseen], workload: Callable[..., Workload]
) -> None:
    """Speculative decoding with a second model has no forecast."""
    assert isinstance(memory(replace(workload(), drafting=True)), NotForeseen)


@pytest.mark.parametrize(("precision", "width"), [("fp32", 4), ("fp16", 2), ("bf16", 2)])
def test_weights_are_held_in_the_precision_asked_for(precision: str, width: int) -> None:
    """Weights and cache take the bytes of the precision, whatever the type in the files."""
    need = _need(pytorch_memory.memory(_workload(precision=precision)))
    assert need.weights_bytes == width * _SHAPE.parameters
    assert need.kv_bytes == 4 * width * _SHAPE.key_value_elements(160)


def test_weights_as_stored_take_the_bytes_of_their_files() -> None:
    """Without a conversion the headers' own sum counts."""
    model = replace(_MODEL, weight_bytes=123_456_789)
    assert _need(pytorch_memory.memory(_workload(precision="as_stored", model=model))).weights_bytes == 123_456_789


@pytest.mark.parametrize("width", [4, 2])
def test_weights_as_stored_decide_the_type_of_the_cache(width: int) -> None:
    """Four bytes a weight are fp32, and so is the cache then; fewer compute in two bytes."""
    model = replace(_MODEL, weight_bytes=width * _SHAPE.parameters)
    need = _need(pytorch_memory.memory(_workload(precision="as_stored", model=model)))
    assert need.kv_bytes == 4 * width * _SHAPE.key_value_elements(160)


def test_loading_weights_of_another_type_holds_both() -> None:
    """On a CPU the files are mapped whole beside what they become; of the same type they are used as they are."""
    stored = _MODEL.weight_bytes or 0
    converted = _need(pytorch_memory.memory(_workload(precision="bf16")))
    same = _need(pytorch_memory.memory(_workload(precision="fp32")))
    assert converted.loading_bytes == pytest.approx(stored * 1.5, rel=0.02)
    assert same.loading_bytes == pytest.approx(stored, rel=0.02)


def test_random_weights_make_a_tied_head_before_they_tie_it() -> None:
    """The peak of making a tied model holds its table of embeddings twice."""
    need = _need(pytorch_memory.memory(_workload(weights="random", model=replace(_MODEL, weight_bytes=None))))
    assert need.loading_bytes - need.weights_bytes == pytest.approx(2 * 49152 * 576, abs=16 * MIB)


@pytest.mark.parametrize("quantization", ["bnb-int8", "bnb-nf4", "torchao-int8wo", "torchao-int8dq"])
def test_quantised_weights_take_less_and_embeddings_do_not(quantization: Any) -> None:
    """Linear weights shrink, the embeddings stay as they are."""
    plain = _need(pytorch_memory.memory(_workload())).weights_bytes
    options = PyTorchOptions(batch_size=4, quantization=quantization)
    packed = _need(pytorch_memory.memory(_workload(options=options))).weights_bytes
    assert 2 * _SHAPE.embedding_parameters < packed < plain


def test_a_spread_model_is_declined() -> None:
    """Which part of it a device would hold is decided by another library."""
    assert isinstance(pytorch_memory.memory(_workload(options=PyTorchOptions(device_map="auto"))), NotForeseen)


def test_a_sliding_window_bounds_the_cache() -> None:
    """Layers that look back a window keep no more than that."""
    sliding = replace(_SHAPE, sliding_window=64, sliding_layers=30)
    need = _need(pytorch_memory.memory(_workload(model=replace(_MODEL, architecture=sliding))))
    assert need.kv_bytes == 4 * 2 * 2 * 3 * 64 * 30 * 64


def test_eager_attention_makes_the_scores() -> None:
    """Only the kernel that writes the matrix of scores pays for it."""
    eager = _workload(options=PyTorchOptions(batch_size=4, attn_implementation="eager"))
    more = _need(pytorch_memory.memory(eager)).working_bytes - _need(pytorch_memory.memory(_workload())).working_bytes
    assert more == 2 * 4 * 4 * 9 * 128**2


def test_experts_take_copies_of_one_layer() -> None:
    """A layer that routes is multiplied with its experts brought together."""
    routed = replace(_SHAPE, experts=8, experts_per_token=2)
    need = _need(pytorch_memory.memory(_workload(model=replace(_MODEL, architecture=routed))))
    assert need.working_bytes > _need(pytorch_memory.memory(_workload())).working_bytes + 2 * 2 * 3 * 8 * 576 * 1536


def test_slots_hold_their_whole_context_from_the_start() -> None:
    """llama.cpp allocates each slot's context, rounded up to 256 tokens, in the types of its options."""
    need = _need(llamacpp_memory.memory(_slots(sequences=8)))
    assert need.kv_bytes == 8 * 256 * 30 * 3 * 64 * 4
    assert need.weights_bytes == need.loading_bytes == 96_576_768
    quantised = replace(_slots(), options=LlamaCppOptions(n_parallel=4, n_ctx=4096, type_k="q8_0", type_v="q8_0"))
    assert _need(llamacpp_memory.memory(quantised)).kv_bytes == round(4096 * 30 * 3 * 64 * 2 * 34 / 32)


def test_an_accelerator_has_its_own_engine_cost() -> None:
    """The context of a GPU is not the resident size of a Python with the engine in it."""
    for memory, workload in ((pytorch_memory.memory, _workload), (llamacpp_memory.memory, _slots)):
        here, there = _need(memory(workload())), _need(memory(workload(device="cuda")))
        assert here.engine_bytes != there.engine_bytes
        assert there.peak_bytes == there.engine_bytes + there.added_bytes
