"""Architectures from configurations, weights and GGUF headers."""

import json
from dataclasses import replace

import pytest

from llenergymeasure.model.machine import Architecture
from llenergymeasure.models.architecture import architecture_of_config, architecture_of_gguf
from llenergymeasure.models.families import UndescribedError
from llenergymeasure.models.gguf import read_gguf
from llenergymeasure.models.safetensors import read_safetensors
from llenergymeasure.testing.model_files import (
    TINY_LLAMA,
    gguf_metadata,
    gguf_tensors,
    llama_tensors,
    write_gguf,
    write_safetensors,
)

UNKNOWN = {**TINY_LLAMA, "model_type": "of-tomorrow"}


def stored(tmp_path, tensors, kind="BF16"):
    return read_safetensors((write_safetensors(tmp_path / "model.safetensors", tensors, kind),))


@pytest.mark.parametrize("tied", [True, False])
def test_a_configuration_alone_gives_the_count_of_its_weights(tmp_path, tied):
    """Counted from the configuration, parameters are those that the files of weights hold."""
    config = {**TINY_LLAMA, "tie_word_embeddings": tied}
    weights = stored(tmp_path, llama_tensors(config))
    architecture = architecture_of_config(config)
    assert architecture.parameters == sum(tensor.elements for tensor in weights.tensors)
    assert architecture.tied_embeddings is tied
    assert architecture.embedding_parameters == 512 * 64


@pytest.mark.parametrize("tied", [True, False])
def test_an_unknown_family_is_counted_from_its_weights(tmp_path, tied):
    """A family that the table lacks is counted by the names of its tensors, to the same result."""
    config = {**UNKNOWN, "tie_word_embeddings": tied}
    known = architecture_of_config({**config, "model_type": "llama"})
    counted = architecture_of_config(config, stored(tmp_path, llama_tensors(config)))
    assert counted == replace(known, family="of-tomorrow")


def test_a_tied_projection_that_is_stored_anyway_counts_once(tmp_path):
    """Files that hold the output projection of a tied model do not make it larger."""
    config = {**UNKNOWN, "tie_word_embeddings": True}
    tensors = llama_tensors({**config, "tie_word_embeddings": False})
    assert architecture_of_config(config, stored(tmp_path, tensors)).parameters == sum(
        tensor.elements for tensor in stored(tmp_path, llama_tensors(config)).tensors
    )


def test_routed_experts_of_an_unknown_family_count_by_their_share(tmp_path):
    """Of eight stored experts two are active; the rest of the model always is."""
    config = {**UNKNOWN, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
    experts = {f"model.layers.0.mlp.experts.{index}.up_proj.weight": (48, 64) for index in range(8)}
    plain = stored(tmp_path, llama_tensors(config))
    base = sum(tensor.elements for tensor in plain.tensors)
    architecture = architecture_of_config(config, stored(tmp_path, llama_tensors(config) | experts))
    assert architecture.parameters == base + 8 * 48 * 64
    assert architecture.active_parameters == base + 2 * 48 * 64
    assert (architecture.experts, architecture.experts_per_token, architecture.intermediate_size) == (8, 2, 48)


def test_a_shared_expert_is_always_active():
    """Beside four routed experts a layer holds a router and one expert for every token, with its gate."""
    dense = architecture_of_config({**TINY_LLAMA, "model_type": "qwen2", "num_hidden_layers": 1})
    routed = architecture_of_config(
        {**TINY_LLAMA, "model_type": "qwen2_moe", "num_hidden_layers": 1, "num_experts": 4, "num_experts_per_tok": 1}
        | {"moe_intermediate_size": 8, "shared_expert_intermediate_size": 16}
    )
    expert, shared, router = 3 * 64 * 8, 3 * 64 * 16 + 64, 4 * 64
    assert routed.parameters == dense.parameters - 3 * 64 * 96 + 4 * expert + shared + router
    assert routed.active_parameters == routed.parameters - 3 * expert


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (UNKNOWN, "of type of-tomorrow"),
        ({**TINY_LLAMA, "model_type": "deepseek_v3", "kv_lora_rank": 512}, "latent attention"),
        ({**TINY_LLAMA, "is_encoder_decoder": True}, "encoder"),
        ({**TINY_LLAMA, "mamba_d_state": 16}, "not attention"),
        ({**TINY_LLAMA, "layer_types": ["full_attention", "linear_attention"]}, "not attention"),
        ({**TINY_LLAMA, "hidden_size": "64"}, "hidden_size is '64'"),
        ({**TINY_LLAMA, "hidden_size": True}, "hidden_size is True"),
        ({**TINY_LLAMA, "num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"model_type": "llama"}, "does not say hidden_size"),
        ({}, "does not say hidden_size"),
        ({**TINY_LLAMA, "model_type": "mixtral"}, "how many experts"),
    ],
)
def test_what_cannot_be_counted_says_why(config, reason):
    """Where a count would be a guess there is none, and the reason is given."""
    with pytest.raises(UndescribedError, match=reason):
        architecture_of_config(config)


def test_packed_weights_of_an_unknown_family_are_not_counted(tmp_path):
    """Integers that pack several weights are no count of parameters."""
    with pytest.raises(UndescribedError, match="unquantised"):
        architecture_of_config(UNKNOWN, stored(tmp_path, llama_tensors(), kind="I32"))


def test_weights_with_unknown_names_are_not_counted(tmp_path):
    """Without a tensor named like an embedding nothing can be told apart."""
    with pytest.raises(UndescribedError, match="token embedding"):
        architecture_of_config(UNKNOWN, stored(tmp_path, {"x": (4, 4)}))


def test_the_window_of_an_unknown_family_is_not_guessed(tmp_path):
    """Which layers slide is a family's own; without knowing it the arithmetic is not counted."""
    with pytest.raises(UndescribedError, match="sliding window"):
        architecture_of_config({**UNKNOWN, "sliding_window": 32}, stored(tmp_path, llama_tensors()))


@pytest.mark.parametrize(
    ("own", "layers", "sliding"),
    [
        ({"model_type": "mistral", "sliding_window": 32}, 4, 4),
        ({"model_type": "mistral", "sliding_window": None}, 4, 0),
        ({"model_type": "llama", "sliding_window": 32}, 4, 0),
        ({"model_type": "gemma2", "sliding_window": 32}, 5, 3),
        ({"model_type": "gemma3_text", "sliding_window": 32}, 26, 22),
        ({"model_type": "gemma3_text", "sliding_window": 32, "sliding_window_pattern": 2}, 4, 2),
        ({"model_type": "qwen2", "sliding_window": 32, "use_sliding_window": False}, 4, 0),
        ({"model_type": "qwen2", "sliding_window": 32}, 4, 0),
        ({"model_type": "qwen2", "sliding_window": 32, "use_sliding_window": True, "max_window_layers": 3}, 4, 1),
        ({"model_type": "qwen2", "sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]}, 2, 1),
    ],
)
def test_sliding_layers_follow_the_family(own, layers, sliding):
    """Layers with a window are counted as the family lays them out, an explicit list before all."""
    architecture = architecture_of_config({**TINY_LLAMA, **own, "num_hidden_layers": layers})
    assert architecture.sliding_layers == sliding
    assert architecture.sliding_window == (32 if sliding else None)


def test_the_decoder_of_a_model_that_sees_is_described():
    """A configuration that wraps a decoder of a known family is that decoder's."""
    wrapped = architecture_of_config({"model_type": "gemma3", "vision_config": {}, "text_config": dict(TINY_LLAMA)})
    assert wrapped == architecture_of_config(TINY_LLAMA)


@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_gives_the_same_architecture(tmp_path, tied):
    """A llama in a GGUF is counted like the same llama in a configuration."""
    header = read_gguf(write_gguf(tmp_path / "m.gguf", tensors=gguf_tensors(tied=tied)))
    assert architecture_of_gguf(header) == architecture_of_config({**TINY_LLAMA, "tie_word_embeddings": tied})


def test_experts_of_a_gguf_are_routed(tmp_path):
    """Stacked experts count by the share that a token passes; shared ones and the router always."""
    metadata = gguf_metadata("qwen2moe", expert_count=8, expert_used_count=2, expert_feed_forward_length=32)
    tensors = gguf_tensors() | {
        "blk.0.ffn_up_exps.weight": ((64, 32, 8), "F16"),
        "blk.0.ffn_up_shexp.weight": ((64, 32), "F16"),
    }
    architecture = architecture_of_gguf(read_gguf(write_gguf(tmp_path / "m.gguf", metadata, tensors)))
    assert architecture.parameters - architecture.active_parameters == 6 * 64 * 32
    assert architecture.intermediate_size == 32


@pytest.mark.parametrize(
    ("name", "own", "sliding"),
    [
        ("gemma2", {"attention__sliding_window": 32}, 1),
        ("phi3", {"attention__sliding_window": 32}, 0),
        ("new", {"attention__sliding_window": 32, "attention__sliding_window_pattern": [True, True]}, 2),
        ("new", {"attention__sliding_window": 32, "attention__sliding_window_pattern": 2}, 1),
        ("llama", {}, 0),
        ("llama", {"attention__head_count_kv": [2, 2], "feed_forward_length": [96, 96]}, 0),
    ],
)
def test_sliding_layers_of_a_gguf(tmp_path, name, own, sliding):
    """The file's own pattern decides, else what llama.cpp does for the architecture."""
    header = read_gguf(write_gguf(tmp_path / "m.gguf", gguf_metadata(name, **own)))
    assert architecture_of_gguf(header).sliding_layers == sliding


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"attention__kv_lora_rank": 512}, "latent attention"),
        ({"ssm__state_size": 16}, "not attention"),
        ({"attention__sliding_window": 32}, "which layers"),
        ({"attention__head_count_kv": [0, 2]}, "layers differ"),
        ({"context_length": None}, "context_length"),
    ],
)
def test_what_a_gguf_leaves_open_says_why(tmp_path, own, reason):
    """A GGUF whose arithmetic cannot be counted says why."""
    with pytest.raises(UndescribedError, match=reason):
        architecture_of_gguf(read_gguf(write_gguf(tmp_path / "m.gguf", gguf_metadata("new", **own))))


def test_a_gguf_without_an_embedding_is_not_described(tmp_path):
    """A file without token embeddings (an adapter, a projector) is no decoder."""
    with pytest.raises(UndescribedError, match="no token embedding"):
        architecture_of_gguf(read_gguf(write_gguf(tmp_path / "m.gguf", tensors={"x": ((32,), "F32")})))


def shape(**own) -> Architecture:
    return replace(architecture_of_config(TINY_LLAMA), **own)


def test_the_cache_holds_keys_and_values_of_every_position():
    """Without a window the cache grows by 2·n_kv·d_h a layer and position."""
    assert shape().key_value_elements(100) == 2 * 2 * 16 * 2 * 100


def test_sliding_layers_hold_their_window_at_most():
    """A sliding layer's cache stops growing at its window."""
    architecture = shape(sliding_window=10, sliding_layers=1)
    assert architecture.key_value_elements(4) == shape().key_value_elements(4)
    assert architecture.key_value_elements(100) == 2 * 2 * 16 * (100 + 10)


def test_an_architecture_survives_json():
    """The facts travel in a job file unchanged."""
    from llenergymeasure.model.codec import decode, encode

    architecture = shape(experts=4, experts_per_token=2)
    assert decode(Architecture, json.loads(json.dumps(encode(architecture)))) == architecture
