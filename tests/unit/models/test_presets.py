"""Named presets of public architectures."""

import json

import pytest

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.architecture import architecture_of_config
from llenergymeasure.models.presets import PRESETS, config_directory, preset

# Parameters as published, in billions: model cards and papers of SmolLM2, TinyLlama, Llama 2, 3.1 and 3.2, Qwen2.5, Qwen3,
# Mistral 7B, Mixtral of Experts, GPT-2.
PUBLISHED = {
    "smollm2-135m": 0.135,
    "smollm2-360m": 0.362,
    "smollm2-1.7b": 1.71,
    "tinyllama-1.1b": 1.10,
    "llama-2-7b": 6.74,
    "llama-3.2-1b": 1.24,
    "llama-3.2-3b": 3.21,
    "llama-3.1-8b": 8.03,
    "llama-3.1-70b": 70.6,
    "qwen2.5-0.5b": 0.494,
    "qwen2.5-7b": 7.62,
    "qwen3-0.6b": 0.596,
    "qwen3-1.7b": 1.72,
    "qwen3-4b": 4.02,
    "qwen3-8b": 8.19,
    "qwen3-30b-a3b": 30.5,
    "mistral-7b-v0.1": 7.24,
    "mistral-7b-v0.3": 7.25,
    "mixtral-8x7b": 46.7,
    "gpt2": 0.124,
}
ACTIVE = {"mixtral-8x7b": 12.9, "qwen3-30b-a3b": 3.3}


def test_every_preset_is_checked():
    """No preset goes without a published count to hold it against."""
    assert set(PRESETS) == set(PUBLISHED)


@pytest.mark.parametrize("name", PRESETS)
def test_totals_are_the_published_ones(name):
    """A preset has as many parameters as its publisher says, to the digits given."""
    assert architecture_of_config(PRESETS[name]).parameters / 1e9 == pytest.approx(PUBLISHED[name], rel=5e-3)


@pytest.mark.parametrize("name", ACTIVE)
def test_active_parameters_are_the_published_ones(name):
    """Of a mixture of experts the published active parameters count."""
    assert architecture_of_config(PRESETS[name]).active_parameters / 1e9 == pytest.approx(ACTIVE[name], rel=2e-2)


def test_heads_and_windows_that_totals_do_not_show():
    """The two shapes that a total could hide: heads wider than the model, and a window on every layer."""
    qwen = architecture_of_config(PRESETS["qwen3-0.6b"])
    assert (qwen.attention_heads, qwen.head_dim, qwen.hidden_size) == (16, 128, 1024)
    assert architecture_of_config(PRESETS["mistral-7b-v0.1"]).sliding_layers == 32


def test_an_unknown_preset_lists_the_names():
    """A misspelt preset is answered with those there are."""
    with pytest.raises(ConfigError) as caught:
        preset("preset:llama-9")
    assert "preset:llama-3.1-8b" in caught.value.hint


def test_a_directory_holds_the_configuration(tmp_path, monkeypatch):
    """A preset becomes a directory with its config.json, the same one each time."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path))
    folder = config_directory("gpt2", PRESETS["gpt2"])
    assert json.loads((folder / "config.json").read_text()) == PRESETS["gpt2"]
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert config_directory("gpt2", PRESETS["gpt2"]) == folder


def test_a_damaged_directory_is_written_again(tmp_path, monkeypatch):
    """A config.json that is not what it should be is replaced."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path))
    folder = config_directory("gpt2", PRESETS["gpt2"])
    (folder / "config.json").write_text("{")
    assert json.loads((config_directory("gpt2", PRESETS["gpt2"]) / "config.json").read_text()) == PRESETS["gpt2"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    """A cache folder that is in the way is named, with the variable that moves it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        config_directory("gpt2", PRESETS["gpt2"])
    assert "LLEM_CACHE_DIR" in caught.value.hint
