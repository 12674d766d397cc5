"""Models in directories."""

import json

import pytest

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.directory import IncompleteError, open_directory, problems_of, read_config
from llenergymeasure.testing.model_files import TINY_LLAMA, llama_tensors, write_gguf, write_model, write_safetensors


def opened(folder, **own):
    return open_directory(folder, **{"name": "tiny", "revision": None, "weights": "real"} | own)


def test_a_whole_directory_is_described(tmp_path):
    """A directory gives its weights' size and digest and its architecture."""
    model = opened(write_model(tmp_path / "m"))
    assert (model.format, model.path) == ("directory", str(tmp_path / "m"))
    assert model.architecture is not None
    assert model.weight_bytes == 2 * model.architecture.parameters
    assert model.weights_sha256 is not None
    assert not model.quantised


def test_shards_are_added_up(tmp_path):
    """Weights in several files are those of all files that the index names."""
    whole = opened(write_model(tmp_path / "whole"))
    folder = write_model(tmp_path / "sharded")
    (folder / "model.safetensors").unlink()
    tensors = list(llama_tensors().items())
    names = {}
    for number, part in enumerate((tensors[:7], tensors[7:])):
        write_safetensors(folder / f"part-{number}.safetensors", dict(part))
        names |= {name: f"part-{number}.safetensors" for name, _ in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert opened(folder).weight_bytes == whole.weight_bytes
    (folder / "part-1.safetensors").unlink()
    with pytest.raises(IncompleteError, match=r"missing: part-1\.safetensors"):
        opened(folder)


def test_pickled_weights_are_measured_and_not_opened(tmp_path):
    """Weights in PyTorch's old format count by the size of their file; the architecture is the configuration's."""
    folder = write_model(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never unpickled")
    model = opened(folder)
    assert model.weight_bytes == len(b"never unpickled")
    assert model.architecture is not None


def test_everything_missing_is_listed(tmp_path):
    """An empty directory is told all that it lacks at once."""
    with pytest.raises(IncompleteError) as caught:
        opened(tmp_path)
    assert [
        any(word in problem for problem in caught.value.problems) for word in ("config.json", "weights", "tokenizer")
    ] == [True] * 3
    assert len(caught.value.problems) == 3


def test_random_weights_need_the_configuration_alone(tmp_path):
    """With random weights a config.json is a whole model, and no weights are described."""
    (tmp_path / "config.json").write_text(json.dumps(TINY_LLAMA))
    model = opened(tmp_path, weights="random")
    assert (model.weight_bytes, model.weights_sha256) == (None, None)
    assert model.architecture is not None


def test_an_adapter_is_told_from_a_model(tmp_path):
    """A LoRA adapter named as a model is answered with where it belongs."""
    (tmp_path / "adapter_config.json").write_text("{}")
    assert any("lora.adapter_path" in problem for problem in problems_of(tmp_path, "real"))


def test_a_gguf_in_a_directory_is_pointed_out(tmp_path):
    """A directory around a GGUF is answered with the file's name."""
    write_gguf(tmp_path / "m.gguf")
    assert any("m.gguf" in problem for problem in problems_of(tmp_path, "real"))


def test_a_path_that_is_no_directory_has_one_problem(tmp_path):
    """Of a path that leads nowhere only that is said."""
    assert len(problems_of(tmp_path / "absent", "real")) == 1


def test_a_quantised_checkpoint_is_marked(tmp_path):
    """A configuration that says how its weights are quantised makes the model quantised."""
    config = {**TINY_LLAMA, "quantization_config": {"quant_method": "awq"}}
    assert opened(write_model(tmp_path / "m", config)).quantised


def test_an_architecture_that_cannot_be_counted_gives_its_reason(tmp_path):
    """A model that cannot be described can still be opened."""
    model = opened(write_model(tmp_path / "m", {**TINY_LLAMA, "kv_lora_rank": 8}))
    assert model.architecture is None
    assert "latent" in (model.architecture_reason or "")


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": 1', "\x00", "[" * 100_000])
def test_a_configuration_that_is_none_is_refused(tmp_path, text):
    """Whatever is not a JSON object is refused by name."""
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_config(path)


def test_an_endless_configuration_is_not_read(tmp_path):
    """A file far longer than a configuration is refused unread."""
    path = tmp_path / "config.json"
    with open(path, "wb") as file:
        file.truncate(20 * 1024 * 1024)
    with pytest.raises(ConfigError, match="longer than any"):
        read_config(path)
