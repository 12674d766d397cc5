"""Flags over files."""

from pathlib import Path

import pytest

from llenergymeasure.cli.overrides import Overrides, experiment_with, study_with
from llenergymeasure.config.study import ExecutionConfig
from llenergymeasure.config.yaml_strict import Document, parse_yaml
from llenergymeasure.errors import ConfigError

STUDY = "model: m\nbackend: [pytorch, llamacpp]\nsweep:\n  n: [1, 2]\n  pytorch.num_threads: [1, 2]\n"


def flags(*sets, backend=None, batch_size=None, shared=None, execution=None):
    return Overrides.of_flags(
        sets, backend=backend, batch_size=batch_size, shared=shared or {}, execution=execution or {}
    )


def document(text):
    return parse_yaml(text, Path("f.yaml"))


def test_a_flag_beats_the_file():
    """Shared fields, nested ones and --set."""
    config = experiment_with(
        document("model: m\nn: 5\n"),
        flags("decoder.max_new_tokens=7", "n=9", shared={"precision": "bf16"}, backend="pytorch"),
    )
    assert (config.n, config.decoder.max_new_tokens, config.precision, config.backend) == (9, 7, "bf16", "pytorch")


def test_flags_alone_make_an_experiment():
    """No file is needed."""
    assert experiment_with(Document(Path("x"), {}), flags(shared={"model": "m"})).model == "m"


def test_the_batch_size_is_each_engines_own_option():
    """Both names are set in a study of both."""
    study = study_with(document(STUDY), flags(batch_size=4))
    assert {c.backend: (c.section(c.backend)) for c in study.experiments}["llamacpp"].n_parallel == 4
    assert {c.backend: (c.section(c.backend)) for c in study.experiments}["pytorch"].batch_size == 4


def test_one_engine_of_a_study():
    """The others' points and keys are left out."""
    study = study_with(document(STUDY), flags(backend="llamacpp"))
    assert [(c.backend, c.n) for c in study.experiments] == [("llamacpp", 1), ("llamacpp", 2)]
    with pytest.raises(ConfigError, match="the study has pytorch, llamacpp"):
        study_with(document(STUDY), flags(backend="vllm"))


def test_a_flag_on_a_swept_key_is_an_error():
    """It would silently undo the sweep."""
    with pytest.raises(ConfigError, match="n: the study sweeps this"):
        study_with(document(STUDY), flags(shared={"n": 5}))


def test_a_flag_on_a_grouped_or_listed_key_is_an_error():
    """There too it would be undone, or undo what is written."""
    grouped = "model: m\nbackend: [pytorch, llamacpp]\ngroups: {a: [{n: 1}, {pytorch.batch_size: 2}]}\n"
    with pytest.raises(ConfigError, match="n: the study sweeps this"):
        study_with(document(grouped), flags(shared={"n": 5}))
    with pytest.raises(ConfigError, match="batch_size: the study sweeps this"):
        study_with(document(grouped), flags(batch_size=5))
    assert len(study_with(document(grouped), flags(batch_size=5, backend="llamacpp")).experiments) == 2
    with pytest.raises(ConfigError, match="n: an experiment of the study sets this"):
        study_with(document("model: m\nexperiments: [{n: 1}]\n"), flags(shared={"n": 5}))


def test_execution_flags_are_checked():
    """A cycle count of zero is refused like in a file."""
    assert flags(execution={"n_cycles": 5}).execution_over(ExecutionConfig()).n_cycles == 5
    with pytest.raises(ConfigError, match=r"execution\.n_cycles"):
        flags(execution={"n_cycles": 0}).execution_over(ExecutionConfig())


def test_set_needs_a_value():
    """The message shows the form."""
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        flags("n")
