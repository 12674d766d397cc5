"""Properties of model files and of counting."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.analyse.flops import decode_flops, prefill_flops
from llenergymeasure.errors import ConfigError
from llenergymeasure.models.architecture import architecture_of_config
from llenergymeasure.models.families import FAMILIES, UndescribedError
from llenergymeasure.models.gguf_file import open_gguf
from llenergymeasure.models.safetensors import read_safetensors
from llenergymeasure.testing.model_files import TINY_LLAMA, write_gguf, write_safetensors

with tempfile.TemporaryDirectory() as _folder:
    GGUF = write_gguf(Path(_folder) / "m.gguf").read_bytes()
    SAFETENSORS = write_safetensors(Path(_folder) / "m.safetensors", {"x": (4, 4), "y": (3,)}).read_bytes()
# Behind the header there are only weights, which no reader looks at.
GGUF_HEADER = GGUF.index(b"output_norm.weight") + 64

sizes = st.integers(min_value=1, max_value=400)
edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=9)), max_size=4)


def mutated(content, header, changes, cut):
    data = bytearray(content)
    for place, piece in changes:
        start = int(place * header)
        data[start : start + len(piece)] = piece
    return bytes(data[: len(data) - int(cut * len(data))])


@settings(max_examples=400, deadline=None)
@given(changes=edits, cut=st.one_of(st.just(0.0), st.floats(0, 1)))
def test_a_mutated_gguf_is_read_or_refused(tmp_path_factory, changes, cut):
    """Whatever is done to a GGUF, it is opened or refused as a configuration error; nothing else is raised."""
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(mutated(GGUF, GGUF_HEADER, changes, cut))
    try:
        model = open_gguf(path)
    except ConfigError as error:
        assert str(path) in str(error)
    else:
        assert (model.architecture is None) == (model.architecture_reason is not None)


@settings(max_examples=300, deadline=None)
@given(changes=edits, cut=st.one_of(st.just(0.0), st.floats(0, 1)))
def test_mutated_safetensors_are_read_or_refused(tmp_path_factory, changes, cut):
    """Whatever is done to a safetensors file, it is read within its size or refused as a configuration error."""
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(mutated(SAFETENSORS, len(SAFETENSORS), changes, cut))
    try:
        weights = read_safetensors((path,))
    except ConfigError as error:
        assert str(path) in str(error)
    else:
        assert all(tensor.bytes <= path.stat().st_size for tensor in weights.tensors)


keys = st.sampled_from(
    [
        *TINY_LLAMA,
        *("num_experts", "num_local_experts", "num_experts_per_tok", "mlp_only_layers", "decoder_sparse_step"),
        *("sliding_window", "sliding_window_pattern", "use_sliding_window", "layer_types"),
        *("text_config", "head_dim", "n_embd"),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(family=st.sampled_from([*FAMILIES, "unknown"]), changes=st.dictionaries(keys, values, max_size=5))
def test_any_configuration_is_counted_or_declined(family, changes):
    """A configuration with any values gives a sane architecture or a reason."""
    config = json.loads(json.dumps({**TINY_LLAMA, "model_type": family} | changes))
    try:
        architecture = architecture_of_config(config)
    except UndescribedError as reason:
        assert str(reason)
    else:
        assert 0 < architecture.active_parameters <= architecture.parameters
        assert 0 <= architecture.sliding_layers <= architecture.layers


architectures = st.builds(
    lambda window, layers: replace(
        architecture_of_config(TINY_LLAMA), layers=4, sliding_window=window if layers else None, sliding_layers=layers
    ),
    window=sizes,
    layers=st.integers(0, 4),
)


@given(architecture=architectures, first=sizes, second=sizes)
def test_tokens_cost_the_same_in_one_piece_or_in_two(architecture, first, second):
    """Reading a prompt costs as much as reading its beginning and being fed the rest, but for the logits on the way."""
    head = 2 * architecture.vocabulary * architecture.hidden_size
    whole = prefill_flops(architecture, first + second)
    pieces = prefill_flops(architecture, first) + decode_flops(architecture, first, second + 1)
    assert whole == pieces - second * head


@given(architecture=architectures, length=sizes, outputs=sizes)
def test_a_window_never_adds_work(architecture, length, outputs):
    """Sliding layers cost at most what full ones do, and exactly that while everything is inside the window."""
    full = replace(architecture, sliding_window=None, sliding_layers=0)
    cost = prefill_flops(architecture, length) + decode_flops(architecture, length, outputs)
    without = prefill_flops(full, length) + decode_flops(full, length, outputs)
    assert cost <= without
    if not architecture.sliding_layers or length + outputs - 1 <= (architecture.sliding_window or 0):
        assert cost == without
