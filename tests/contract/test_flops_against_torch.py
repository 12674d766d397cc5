"""Our counts against models that transformers builds: parameters exactly, FLOPs within 2 % of torch's own counter.

Torch's ``FlopCounterMode`` counts the matrix multiplications that are executed. A prompt given in one piece executes the whole
square of attention, masked half included, where ours counts the positions attended to. So the prompt is fed token by token
through the cache: then the executed attention is the causal one, and both count the same thing. Logits are computed for the last
position.
Attention is the ``eager`` one, whose multiplications torch can see; its counter misses the fused CPU kernel behind ``sdpa``.
Ours counts norms and biases as if they were multiplied, which is the difference that remains.
"""

import pytest

from llenergymeasure.analyse.flops import decode_flops, prefill_flops
from llenergymeasure.models.architecture import architecture_of_config
from llenergymeasure.models.families import FAMILIES
from llenergymeasure.models.presets import PRESETS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.engine

SHAPE = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
SMALL = {
    "gpt2": {"n_embd": 128, "n_layer": 2, "n_head": 8, "n_positions": 256, "vocab_size": 512},
    "gpt_neox": {key: value for key, value in SHAPE.items() if key != "num_key_value_heads"},
    "mixtral": SHAPE | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": SHAPE | {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 32, "sliding_window": 8},
    "qwen2_moe": SHAPE
    | {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
        "shared_expert_intermediate_size": 96,
        "mlp_only_layers": [0],
    },
    "qwen3_moe": SHAPE | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "head_dim": 32},
    "olmoe": SHAPE | {"num_experts": 4, "num_experts_per_tok": 2},
    "gemma": SHAPE | {"head_dim": 32},
    "gemma2": SHAPE | {"head_dim": 32, "sliding_window": 8},
    "gemma3_text": SHAPE | {"head_dim": 32, "sliding_window": 8, "sliding_window_pattern": 2},
    "qwen3": SHAPE | {"head_dim": 32},
    "mistral": SHAPE | {"sliding_window": 8},
}


def small(family, **own):
    return (
        {"model_type": family, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2} | SMALL.get(family, SHAPE) | own
    )


def built(config, device="cpu"):
    """The model that transformers makes of a configuration, with random weights."""
    settings = transformers.AutoConfig.for_model(**config)
    settings._attn_implementation = "eager"
    settings._experts_implementation = "eager"
    with torch.device(device):
        return transformers.AutoModelForCausalLM.from_config(settings).eval()


def counted(model, length, outputs, device="cpu"):
    """What torch counts for the prompt and for decoding, everything fed token by token."""
    from torch.utils.flop_counter import FlopCounterMode

    ids = torch.ones((1, length + outputs), dtype=torch.long, device=device)
    phases, past = [], None
    with torch.no_grad():
        for begin, end in ((0, length), (length, length + outputs - 1)):
            with FlopCounterMode(display=False) as counter:
                for position in range(begin, end):
                    step = model if position >= length - 1 else model.base_model
                    past = step(ids[:, position : position + 1], past_key_values=past, use_cache=True).past_key_values
            phases.append(counter.get_total_flops())
    return phases


@pytest.mark.parametrize("tied", [None, True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_of_the_model(family, tied):
    """For every family, counting from the configuration gives exactly the model's parameters, tied or not or by default."""
    config = small(family, **({} if tied is None else {"tie_word_embeddings": tied}))
    model = built(config, device="meta")
    expected = sum(parameter.numel() for parameter in model.parameters())
    assert architecture_of_config(config).parameters == expected
    assert architecture_of_config(model.config.to_dict()).parameters == expected


@pytest.mark.parametrize(
    ("family", "length", "outputs"),
    [(family, 12, 4) for family in FAMILIES]
    + [("tied", 12, 4), ("llama", 1, 2), ("llama", 60, 3), ("gemma2", 30, 3), ("mixtral", 3, 8)],
)
def test_flops_are_within_two_percent_of_torch(family, length, outputs):
    """Prefill and decode agree with torch's counter for each family: grouped heads, gates, tied tables, windows, experts."""
    config = small("llama", tie_word_embeddings=True) if family == "tied" else small(family)
    architecture = architecture_of_config(config)
    prefill, decode = counted(built(config), length, outputs)
    assert prefill_flops(architecture, length) == pytest.approx(prefill, rel=0.02)
    assert decode_flops(architecture, length, outputs) == pytest.approx(decode, rel=0.02)


@pytest.mark.parametrize("name", ["smollm2-135m", "llama-3.2-1b", "llama-3.1-8b", "qwen3-0.6b", "qwen2.5-0.5b"])
def test_presets_are_within_two_percent_of_torch(name):
    """Real shapes, the builtin model's among them, agree far closer; counted without weights or arithmetic."""
    architecture = architecture_of_config(PRESETS[name])
    prefill, decode = counted(built(dict(PRESETS[name]), device="meta"), 5, 3, device="meta")
    assert prefill_flops(architecture, 5) == pytest.approx(prefill, rel=0.002)
    assert decode_flops(architecture, 5, 3) == pytest.approx(decode, rel=0.002)


def test_a_prompt_in_one_piece_executes_the_masked_half_too():
    """What torch counts for a whole prompt exceeds our count by exactly the positions that the mask hides."""
    from torch.utils.flop_counter import FlopCounterMode

    config, length = small("llama"), 40
    model = built(config)
    prefill, _ = counted(model, length, 2)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.ones((1, length), dtype=torch.long), logits_to_keep=1)
    hidden = length * length - length * (length + 1) // 2
    assert counter.get_total_flops() - prefill == 4 * 2 * 8 * 16 * hidden
