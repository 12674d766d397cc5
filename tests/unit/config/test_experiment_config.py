"""``ExperimentConfig``: what it takes, what it refuses, and what it says then."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from llenergymeasure.config.experiment import ExperimentConfig, experiment_of
from llenergymeasure.config.hashing import measurement_config_hash
from llenergymeasure.config.yaml_strict import parse_yaml
from llenergymeasure.errors import ConfigError


def of(text):
    return experiment_of(parse_yaml(text, Path("e.yaml")))


def test_a_model_is_enough():
    """Everything else has a default."""
    config = ExperimentConfig(model="m")
    assert (config.n, config.decoder.max_new_tokens, config.decoder.ignore_eos) == (100, 128, True)
    assert config.written() == {"model": "m"}


def test_every_problem_is_told_at_once_with_its_line():
    """One error names each mistake, where it stands, and what was meant."""
    with pytest.raises(ConfigError) as caught:
        of("model: m\nmodle: y\nn: zero\ndecoder:\n  top_pp: 1\nbackend: pytorch\npytorch:\n  batch_sise: 4\n")
    text = str(caught.value)
    assert "e.yaml:2: unknown key 'modle' (did you mean 'model'?)" in text
    assert "e.yaml:3: n: should be a whole number" in text
    assert "e.yaml:5: unknown key 'top_pp' (did you mean 'top_p'?)" in text
    assert "e.yaml:8: unknown option 'batch_sise' of pytorch (did you mean 'batch_size'?)" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: m\ntraffic: {rate: 2}\n", "not known to this version"),
        ("model: m\npower: {cap: 200}\n", "cap_w"),
        ("model: m\npower: {cap_w: 0}\n", "greater than 0"),
        ("model: m\ndecoder: {temperature: 0.5}\n", "needs decoding_strategy: sampling"),
        ("model: m\ndecoder: {num_beams: 4}\n", "needs decoding_strategy: beam"),
        ("model: m\nbackend: llamacpp\nprecision: bf16\n", "llamacpp does not support precision 'bf16'"),
        ("model: m\nbackend: llamacpp\npytorch: {batch_size: 2}\n", "for another backend"),
        ("model: m\nbackend: pytroch\n", "did you mean 'pytorch'"),
        ("model: m\npytorch: [1]\n", "should be a mapping"),
        ("model: m\npytorch: {passthrough_kwargs: {batch_size: 2}}\n", "an option of its own"),
        ("n: 3\n", "model: is needed"),
        ("model: m\nwindow: {min_seconds: 10, max_seconds: 5}\n", "is below min_seconds"),
        ("model: m\nlora: {merge_weights: true}\n", "adapter_id or adapter_path, one of them"),
        ("model: m\nlora: {adapter_id: a, adapter_path: b}\n", "adapter_id or adapter_path, one of them"),
        ("model: m\nbackend: llamacpp\nlora: {adapter_id: a}\n", "llamacpp does not support LoRA adapters"),
        ("model: m\ncold_start: true\nwarmup: {n_warmup: 3}\n", "a cold start has no warmup of its own"),
        ("model: m\ncold_start: true\nwindow: {min_seconds: 3}\n", "a cold start has no window of its own"),
        ("model: m\nwindow: {min_seconds: .nan}\n", "finite"),
        (
            "model: m\nbackend: pytorch\ndecoder: {speculative_decoding: true}\n",
            r"set decoder.draft_model or pytorch.prompt_lookup_num_tokens",
        ),
        ("model: m\ndecoder: {draft_model: d}\n", "draft_model needs speculative_decoding"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    """The message names what is wrong."""
    with pytest.raises(ConfigError, match=message):
        of(text)


def test_numbers_may_be_names():
    """A model in a folder of digits, and a revision that looks like a float."""
    config = of("model: 2024\nmodel_revision: 12e4567\n")
    assert (config.model, config.model_revision) == ("2024", "12e4567")


def test_sections_are_the_backends_own_options():
    """A section is validated by its backend's dataclass and is found by name."""
    config = ExperimentConfig(model="m", backend="pytorch", pytorch={"batch_size": "8"})
    assert config.section("pytorch").batch_size == 8
    assert config.written()["pytorch"] == {"batch_size": 8}
    assert config.section("llamacpp") is None
    assert ExperimentConfig.model_validate(config.written()) == config


def test_choosing_a_backend_checks_what_it_supports():
    """A configuration without a backend is checked when it gets one."""
    config = ExperimentConfig(model="m", precision="bf16")
    assert config.with_backend("pytorch").backend == "pytorch"
    with pytest.raises(ValidationError, match="does not support precision"):
        config.with_backend("llamacpp")


def test_a_configuration_is_frozen():
    """Nothing changes after construction."""
    with pytest.raises(ValidationError):
        ExperimentConfig(model="m").n = 5


def hash_of(**fields):
    return measurement_config_hash(ExperimentConfig(**{"model": "m", "backend": "pytorch", **fields}))


def test_the_hash_ignores_what_is_not_measured():
    """Defaults written out, window, baseline, energy source and warm-up lengths change nothing."""
    reference = hash_of()
    assert hash_of(n=100, decoder={"max_new_tokens": 128}, pytorch={"batch_size": 1}) == reference
    assert hash_of(window={"min_seconds": 1}, baseline={"enabled": False}, energy={"source": "none"}) == reference
    assert hash_of(warmup={"n_warmup": 9}) == reference


def test_the_hash_tells_what_is_measured_apart():
    """Each of these is another measurement."""
    hashes = [
        hash_of(),
        hash_of(n=99),
        hash_of(model="other"),
        hash_of(precision="fp32"),
        hash_of(pytorch={"batch_size": 2}),
        hash_of(backend="llamacpp"),
        hash_of(warmup={"strategy": "none"}),
        hash_of(prompt_format="chat"),
    ]
    assert len(set(hashes)) == len(hashes)


def test_local_models_are_hashed_by_their_name():
    """The folder above does not matter."""
    assert hash_of(model="/a/b/model.gguf") == hash_of(model="./model.gguf")


def test_a_hash_needs_a_backend():
    """Asking before the backend is chosen is an error."""
    with pytest.raises(ValueError, match="backend is not chosen"):
        measurement_config_hash(ExperimentConfig(model="m"))


def test_the_schema_lists_the_sections():
    """The JSON Schema refuses unknown keys and describes every backend's options."""
    schema = ExperimentConfig.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["pytorch"]["properties"]["batch_size"]["description"]


def test_what_proposes_tokens_may_be_the_engines_own():
    """Speculative decoding needs a draft model, or an option that does without one."""
    of("model: m\nbackend: pytorch\ndecoder: {speculative_decoding: true}\npytorch: {prompt_lookup_num_tokens: 3}\n")
    of("model: m\nbackend: pytorch\ndecoder: {speculative_decoding: true, draft_model: d}\n")


def test_an_adapter_enters_the_hash_by_its_name():
    """Where its folder lies changes nothing; another adapter, or merging it, does."""

    def hashed(lora):
        return measurement_config_hash(of(f"model: m\nbackend: pytorch\nlora: {lora}\n"))

    here, there = hashed("{adapter_path: /a/tuned}"), hashed("{adapter_path: ../b/tuned}")
    assert here == there
    others = {hashed("{adapter_path: other}"), hashed("{adapter_path: tuned, merge_weights: true}"), hashed("null")}
    assert len(others | {here}) == 4


def test_a_cold_start_is_another_measurement():
    """It is hashed; written out as false it changes nothing."""
    text = "model: m\nbackend: pytorch\n"
    assert measurement_config_hash(of(text)) == measurement_config_hash(of(text + "cold_start: false\n"))
    assert measurement_config_hash(of(text)) != measurement_config_hash(of(text + "cold_start: true\n"))
