"""What holds for every configuration and every grid."""

from __future__ import annotations

import random
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.config.axes import Varying
from llenergymeasure.config.expand import expand
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import measurement_config_hash
from llenergymeasure.config.yaml_strict import parse_yaml
from llenergymeasure.errors import ConfigError
from llenergymeasure.plan.order import order

WHAT = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "owner/name", "./a.gguf"]), "backend": st.just("pytorch")},
    optional={
        "n": st.integers(1, 500),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "prompt_format": st.sampled_from(["raw", "chat"]),
        "decoder": st.fixed_dictionaries(
            {}, optional={"max_new_tokens": st.integers(1, 300), "ignore_eos": st.booleans()}
        ),
        "pytorch": st.fixed_dictionaries(
            {}, optional={"batch_size": st.integers(1, 64), "num_threads": st.integers(1, 8)}
        ),
    },
)


def shuffled(data, seed):
    keys = list(data)
    random.Random(seed).shuffle(keys)
    return {key: shuffled(data[key], seed) if isinstance(data[key], dict) else data[key] for key in keys}


@given(WHAT, st.integers())
def test_a_hash_ignores_order_and_written_out_defaults(what, seed):
    """The same measurement has the same hash, whether its defaults are written or not, in any order of keys."""
    config = ExperimentConfig.model_validate(what)
    reference = measurement_config_hash(config)
    assert measurement_config_hash(ExperimentConfig.model_validate(shuffled(what, seed))) == reference
    assert measurement_config_hash(ExperimentConfig.model_validate(config.resolved())) == reference
    assert measurement_config_hash(ExperimentConfig.model_validate(config.written())) == reference


@given(WHAT)
def test_what_is_written_reads_back_as_it_was(what):
    """Through YAML text and our own loader."""
    config = ExperimentConfig.model_validate(what)
    text = yaml.safe_dump(config.resolved(), sort_keys=False)
    assert ExperimentConfig.model_validate(parse_yaml(text, Path("x.yaml")).data) == config


@given(
    st.dictionaries(
        st.sampled_from(["n", "precision", "decoder.max_new_tokens", "pytorch.batch_size"]),
        st.lists(st.sampled_from([1, 2, 3, "bf16", "fp32", "nonsense"]), min_size=1, max_size=4),
        max_size=3,
    )
)
def test_an_expansion_has_no_duplicates_and_loses_nothing(sweep):
    """Points, skipped and merged add up to the product, and no two points are one measurement."""
    found = expand({"model": "m"}, ["pytorch"], Varying(sweep))
    product = 1
    for values in sweep.values():
        product *= len(values)
    assert len(found.points) + len(found.skipped) + found.merged == product
    hashes = [measurement_config_hash(point.config) for point in found.points]
    assert len(set(hashes)) == len(hashes)
    assert all(point.reason for point in found.skipped)


@given(st.text(max_size=200))
def test_any_text_is_data_or_a_clear_error(text):
    """No text makes the loader fail in another way."""
    try:
        assert isinstance(parse_yaml(text, Path("x.yaml")).data, dict)
    except ConfigError as error:
        assert str(error).startswith("x.yaml")


@given(st.integers(1, 8), st.integers(1, 6), st.sampled_from(["sequential", "interleaved", "shuffled"]), st.integers(0))
def test_an_order_holds_every_trial_once(points, cycles, how, seed):
    """Whatever the order, each (experiment, cycle) stands in it exactly once, numbered from 1."""
    trials = order(points, cycles, how, seed)
    assert {(trial.point, trial.cycle) for trial in trials} == {(p, c) for p in range(points) for c in range(cycles)}
    assert [trial.number for trial in trials] == list(range(1, points * cycles + 1))
