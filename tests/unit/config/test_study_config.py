"""``StudyConfig``: a plain grid, a list, and what is wrong with them."""

from pathlib import Path

import pytest

from llenergymeasure.config.dataset import SyntheticDataset, SyntheticOptions
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
    assert [(config.n, config.backend) for config in study.experiments] == [(5, "pytorch")]
    assert study.experiments[0].decoder.max_new_tokens == 16
    assert "needs decoding_strategy" in study.skipped[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: m\nsweep: {n: 5}\n", "grid.yaml:2: sweep.n: a sweep needs a list"),
        ("model: m\nsweep: {n: []}\n", "needs a list"),
        (
            "model: m\nbackend: [pytorch]\nsweep:\n  llamacpp.n_parallel: [1]\n",
            r"grid.yaml:4: 'llamacpp.n_parallel' is an option of llamacpp, and the study has pytorch \(add llamacpp",
        ),
        ("model: m\nbackend: pytorch\nsweep:\n  pytorch.batchsize: [1]\n", "did you mean 'pytorch.batch_size'"),
        ("model: m\nbackend: pytorch\nsweep:\n  decoder.maxnewtokens: [1]\n", "did you mean 'decoder.max_new_tokens'"),
        ("model: m\nexecution: {ncycles: 2}\n", "did you mean 'n_cycles'"),
        ("model: m\nname: s\nmodle: x\n", "grid.yaml:3: unknown key 'modle'"),
        ("model: m\nbackend: [pytorch, pytorch]\n", "listed twice"),
        ("model: m\nname: s\nexperiments: 5\n", "list of mappings"),
        (
            "model: m\nsweep:\n  window.min_seconds: [1, 2]\n",
            r"grid.yaml:3: 'window.min_seconds' is the same for the whole",
        ),
        (
            "model: m\nexperiments:\n  - {n: 5}\n  - {energy: {source: none}}\n",
            r"grid.yaml:4: experiments\[2\].energy.source: is the same for",
        ),
        ("model: m\nexecution: false\n", "grid.yaml:2: execution: should be"),
        ("model: m\nsweep:\n  n: [0]\n", "grid.yaml:3: sweep.n: n: should be greater than or equal to 1, found 0"),
        (
            "model: m\nsweep:\n  n: {pow2: [1]}\n",
            r"grid.yaml:3: sweep.n: pow2 needs two numbers.*for example {pow2: \[16, 256\]}",
        ),
        ("model: m\nsweep:\n  nn: {pow2: [1, 2]}\n", "grid.yaml:3: unknown key 'nn'"),
        ("model: m\nsweep: 5\n", "grid.yaml:2: sweep: sweep should map keys"),
        ("model: m\ngroups: 5\n", "grid.yaml:2: groups: groups should map names"),
        ("model: m\nbackend: [5]\n", "grid.yaml:2: backend: backend should be a name"),
        ("model: m\nbackend: []\n", r"grid.yaml:2: backend: the list of backends is empty \(name one"),
        ("model: m\nsweep:\n  backend: [a]\n", r"grid.yaml:3: .*write the list beside sweep"),
        ("model: m\nsweep:\n  pytorch: [{}]\n", "'pytorch' is a whole section .vary its options: pytorch.batch_size"),
        ("model: m\nsweep:\n  pytroch.batch_size: [1]\n", "did you mean 'pytorch.batch_size'"),
        ("model: m\nsweep:\n  traffic.rate: [1]\n", "grid.yaml:3: 'traffic.rate' is not known to this version"),
        (
            "model: m\nsweep:\n  pytorch.batch_size: [1]\n  llamacpp.n_parallel: [1]\n",
            r"grid.yaml:4: .*keys of pytorch, llamacpp, and no backend is given \(write backend: \[pytorch, llamacpp\]",
        ),
        (
            "model: m\nsweep:\n  decoder: [{}]\n  decoder.top_k: [1]\n",
            "grid.yaml:4: 'decoder.top_k' is varied, and so is",
        ),
        ("model: m\nsweep:\n  decoder: [{topp: 1}]\n", "grid.yaml:3: .*unknown key 'decoder.topp'.*'decoder.top_p'"),
        (
            "model: m\nsweep: {n: [1]}\ngroups:\n  a:\n    - {n: 2}\n",
            "grid.yaml:5: 'n' is varied twice, in sweep and in group",
        ),
        (
            "model: m\ngroups:\n  a: [{n: 2}]\n  b: [{n: 2}]\n",
            "grid.yaml:4: 'n' is varied twice, in group 'a' and in group 'b'",
        ),
        ("model: m\ngroups:\n  a: []\n", "grid.yaml:3: groups.a: a group needs a list of entries"),
        ("model: m\ngroups:\n  a:\n    - 5\n", r"grid.yaml:4: groups.a\[1\]: an entry should map keys to values"),
        ("model: m\ngroups:\n  a:\n    - {nn: 5}\n", "grid.yaml:4: unknown key 'nn' .did you mean 'n'"),
        ("model: m\ngroups:\n  a:\n    - {n: 0}\n", r"grid.yaml:4: groups.a\[1\].n: n: should be greater"),
        ("model: m\ngroups:\n  a:\n    - {baseline.enabled: true}\n", "grid.yaml:4: 'baseline.enabled' is the same"),
        (
            "model: m\nbackend: [pytorch, vllm]\nexperiments:\n  - {n: 5}\n",
            r"grid.yaml:4: .*names no backend.*add backend: pytorch",
        ),
        ("model: m\nsweep: {n: [0]}\nexperiments:\n  - {n: 5, device: gpu}\n", r"grid.yaml:2: .*n: should be"),
        ("model: m\nexperiments:\n  - {modle: x}\n", r"grid.yaml:3: .*unknown key 'modle' \(did you mean 'model'"),
        ("model: m\nexperiments:\n  - {decoder.top_k: 5}\n", r"grid.yaml:3: .*write decoder: {top_k: …}"),
        (
            "model: m\nexperiments:\n  - {warmup: {n_warmup: 5}}\n",
            r"grid.yaml:3: experiments\[1\].warmup.n_warmup: is the same",
        ),
        ("model: m\nwhere: n < 5\n", "grid.yaml:2: where: where should be a list"),
        (
            "model: m\nsweep: {n: [1, 2]}\nwhere:\n  - n < 5\n  - nn < 5\n",
            "grid.yaml:5: .*no field is called 'nn'.*did you mean 'n'",
        ),
        ("model: m\nsweep: {n: [1, 2]}\nwhere:\n  - n > 5\n", "grid.yaml:3: where: the filters leave no experiment"),
        (
            "model: m\nsweep: {n: [1, 2]}\nwhere:\n  - n < 5\n  - 1 / (n - 2) < 5\n",
            "grid.yaml:5: .*division by zero, with n 2",
        ),
        (
            "model: a/x.gguf\nsweep:\n  model: [a/x.gguf, b/x.gguf]\n",
            "grid.yaml:3: .*'b/x.gguf' and 'a/x.gguf' have one name, by which results know local files",
        ),
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


GROUPS = """
model: m
backend: [pytorch, llamacpp]
n: 3
sweep:
  n: [10, 20]
groups:
  quant:
    - {}
    - {pytorch.quantization: bnb-int8, decoder.max_new_tokens: 8}
    - {pytorch.quantization: bnb-nf4}
"""


def test_a_group_sets_several_fields_together():
    """It is crossed with the rest; keys of other backends do not apply, and points that become equal are merged."""
    study = of(GROUPS)
    found = [
        (
            config.backend,
            config.n,
            getattr(config.section("pytorch"), "quantization", None),
            config.decoder.max_new_tokens,
        )
        for config in study.experiments
    ]
    assert found == [
        ("pytorch", 10, None, 128), ("pytorch", 10, "bnb-int8", 8), ("pytorch", 10, "bnb-nf4", 128),
        ("pytorch", 20, None, 128), ("pytorch", 20, "bnb-int8", 8), ("pytorch", 20, "bnb-nf4", 128),
        ("llamacpp", 10, None, 128), ("llamacpp", 10, None, 8), ("llamacpp", 20, None, 128), ("llamacpp", 20, None, 8),
    ]  # fmt: skip
    assert study.expansion.merged == 2
    assert study.expansion.points[1].varied == {
        "backend": "pytorch", "n": 10, "pytorch.quantization": "bnb-int8", "decoder.max_new_tokens": 8,
    }  # fmt: skip


def test_what_is_swept_wins_over_what_is_fixed():
    """Both may be written, and it is said once."""
    assert of(GROUPS).expansion.notices == ("n: the study varies it, the fixed value 3 is not used",)


def test_a_fixed_value_is_the_default_of_a_group():
    """An entry without the key keeps it, so nothing is to be said."""
    study = of("model: m\nn: 3\ngroups: {a: [{}, {n: 5}], b: [{random_seed: 1}]}\nrandom_seed: 2\n")
    assert [(config.n, config.random_seed) for config in study.experiments] == [(3, 1), (5, 1)]
    assert study.expansion.notices == ("random_seed: the study varies it, the fixed value 2 is not used",)


def test_the_backend_follows_from_scoped_keys():
    """Where only one backend has any."""
    study = of("model: m\nsweep: {n: [1, 2]}\ngroups: {a: [{pytorch.batch_size: 4}, {}]}\n")
    assert {config.backend for config in study.experiments} == {"pytorch"}
    assert study.expansion.notices == ("backend: pytorch, the only one that a key of the study belongs to",)


def test_a_path_into_a_dataset_can_be_swept():
    """The length of synthetic prompts is what people vary most."""
    study = of("model: m\nsweep: {dataset.synthetic.input_len: [64, 512]}\n")
    assert [config.dataset for config in study.experiments] == [
        SyntheticDataset(synthetic=SyntheticOptions(input_len=64)),
        "synthetic",
    ]


def test_environments_are_experiments_of_their_own():
    """Identity is the hash and the environment: an engine's versions are an axis of a study."""
    study = of("model: m\nbackend: pytorch\nsweep: {environment: [a, b, a]}\n")
    assert [config.environment for config in study.experiments] == ["a", "b"]
    assert study.expansion.merged == 1


def test_filters_leave_points_out():
    """They read effective values, defaults included; explicit experiments stay; what is left out is counted."""
    study = of(
        "model: m\nsweep: {n: [1, 10, 100]}\nexperiments: [{n: 1000}]\nwhere:\n  - n * decoder.max_new_tokens <= 2000\n"
    )
    assert [config.n for config in study.experiments] == [1, 10, 1000]
    assert study.expansion.filtered == {"n * decoder.max_new_tokens <= 2000": 1}
    assert study.expansion.notices == ("where n * decoder.max_new_tokens <= 2000: 1 point left out",)
    assert not study.skipped


def test_a_filter_does_not_apply_to_a_point_that_lacks_a_field():
    """Whether the field is another backend's, or has no value."""
    study = of(TWO + "where:\n  - pytorch.batch_size == 8 and decoder.top_k == 4\n  - pytorch.batch_size == 8\n")
    assert [(config.backend, config.decoder.max_new_tokens) for config in study.experiments] == [
        ("pytorch", 32), ("pytorch", 64), ("llamacpp", 32), ("llamacpp", 64),
    ]  # fmt: skip


def test_nothing_is_shared_between_points():
    """A point can be changed without changing another, or the study."""
    study = of("model: m\nbackend: pytorch\npytorch: {passthrough_kwargs: {a: [1]}}\nsweep: {n: [1, 2]}\n")
    one, other = study.experiments
    one.section("pytorch").passthrough_kwargs["a"].append(2)
    assert other.section("pytorch").passthrough_kwargs == {"a": [1]} == study.fixed["pytorch"]["passthrough_kwargs"]


def test_experiments_are_a_sequence():
    """They are made when they are asked for, from the end and in slices too."""
    experiments = of("model: m\nsweep: {n: [1, 2, 3]}\n").experiments
    assert [config.n for config in experiments[1:]] == [2, 3]
    assert experiments[-1].n == 3
    with pytest.raises(IndexError):
        experiments[3]


def test_a_study_made_in_python_is_checked_too():
    """Without a file there is no line to name."""
    with pytest.raises(ConfigError, match=r"study: unknown key 'nn' \(did you mean 'n'\?\)"):
        _ = StudyConfig(name="s", fixed={"model": "m"}, sweep={"nn": (1,)}).expansion
    with pytest.raises(ConfigError, match=r"study: sweep.n: has no value.*\nstudy: groups.a: has no entry"):
        _ = StudyConfig(name="s", fixed={"model": "m"}, sweep={"n": ()}, groups={"a": ()}).expansion
