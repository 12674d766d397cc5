"""``StudyConfig``: a plain grid, a list, and what is wrong with them."""

from pathlib import Path

import pytest

from llenergymeasure.config.study import StudyConfig, is_study, study_of
from llenergymeasure.config.yaml_strict import parse_yaml
from llenergymeasure.errors import ConfigError


def of(text):
    return study_of(parse_yaml(text, Path("grid.yaml")))


TWO = """
model: m
backend: [pytorch, llamacpp]
pytorch: {num_threads: 2}
sweep:
  decoder.max_new_tokens: [32, 64]
  pytorch.batch_size: [1, 8]
"""


def test_each_backend_has_its_own_grid():
    """Scoped keys enter only their backend's product; the written order is kept."""
    study = of(TWO)
    found = [
        (config.backend, config.decoder.max_new_tokens, getattr(config.section("pytorch"), "batch_size", None))
        for config in study.experiments
    ]
    assert found == [
        ("pytorch", 32, 1),
        ("pytorch", 32, 8),
        ("pytorch", 64, 1),
        ("pytorch", 64, 8),
        ("llamacpp", 32, None),
        ("llamacpp", 64, None),
    ]
    assert study.experiments[0].section("pytorch").num_threads == 2
    assert study.experiments[4].section("pytorch") is None
    assert study.name == "grid"


def test_points_that_are_not_valid_are_skipped_with_their_reason():
    """The others stay."""
    study = of("model: m\nbackend: [pytorch, llamacpp]\nsweep: {precision: [bf16, as_stored]}\n")
    assert [(c.backend, c.precision) for c in study.experiments] == [
        ("pytorch", "bf16"),
        ("pytorch", "as_stored"),
        ("llamacpp", "as_stored"),
    ]
    assert len(study.skipped) == 1
    assert "llamacpp does not support precision 'bf16'" in study.skipped[0].reason


def test_equal_points_are_merged():
    """A value written twice is one experiment, and the merging is counted."""
    study = of("model: m\nbackend: pytorch\nsweep: {n: [10, 20, 10]}\n")
    assert [config.n for config in study.experiments] == [10, 20]
    assert study.expansion.merged == 1


def test_explicit_experiments_lie_over_the_fixed_part():
    """Entries are merged deeply and added after the grid; without a sweep there is no grid."""
    study = of(
        "model: m\nbackend: pytorch\ndecoder: {max_new_tokens: 16}\nexperiments:\n  - {n: 5}\n  - {decoder: {top_k: 1}}\n"
    )
    assert [config.n for config in study.experiments] == [5]
    assert study.experiments[0].decoder.max_new_tokens == 16
    assert "needs decoding_strategy" in study.skipped[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: m\nsweep: {n: 5}\n", "grid.yaml:2: sweep.n: a sweep needs a list"),
        ("model: m\nsweep: {n: []}\n", "needs a list"),
        (
            "model: m\nbackend: [pytorch]\nsweep:\n  llamacpp.n_parallel: [1]\n",
            r"grid.yaml:4: unknown key 'llamacpp.n_par",
        ),
        ("model: m\nbackend: pytorch\nsweep:\n  pytorch.batchsize: [1]\n", "did you mean 'pytorch.batch_size'"),
        ("model: m\nbackend: pytorch\nsweep:\n  decoder.maxnewtokens: [1]\n", "did you mean 'decoder.max_new_tokens'"),
        ("model: m\nexecution: {ncycles: 2}\n", "did you mean 'n_cycles'"),
        ("model: m\nname: s\ngroups: {}\n", "not known to this version"),
        ("model: m\nname: s\nmodle: x\n", "grid.yaml:3: unknown key 'modle'"),
        ("model: m\nbackend: [pytorch, pytorch]\n", "listed twice"),
        ("model: m\nname: s\nexperiments: 5\n", "list of mappings"),
        (
            "model: m\nsweep:\n  window.min_seconds: [1, 2]\n",
            r"grid.yaml:3: 'window.min_seconds' is the same for the whole",
        ),
        ("model: m\nexperiments:\n  - {n: 5}\n  - {energy: {source: none}}\n", "grid.yaml:4: 'energy' is the same for"),
        ("model: m\nexecution: false\n", "grid.yaml:2: execution: should be"),
        ("model: m\nsweep:\n  n: [0]\n", "grid.yaml:3: sweep.n: n: should be greater than or equal to 1, found 0"),
    ],
)
def test_mistakes_are_told_with_their_line(text, message):
    """A study that makes no sense runs nothing."""
    with pytest.raises(ConfigError, match=message):
        of(text)


def test_what_makes_a_file_a_study():
    """A list of backends or a key that only studies have."""
    assert is_study({"model": "m", "backend": ["a", "b"]})
    assert is_study({"model": "m", "execution": {}})
    assert not is_study({"model": "m", "backend": "a"})


def test_studies_default_to_three_cycles():
    """In file and library alike."""
    assert of(TWO).execution.n_cycles == 3
    assert StudyConfig(name="s").execution.n_cycles == 3


def test_more_points_than_can_be_worked_with_are_refused():
    """Before any is made: the product of what is swept is known at once."""
    text = f"model: m\nsweep:\n  n: {list(range(1, 1001))}\n  random_seed: {list(range(1000))}\n"
    with pytest.raises(ConfigError, match=r"grid.yaml:2: sweep: 1,000,000 experiments are too many \(vary fewer keys"):
        of(text)
