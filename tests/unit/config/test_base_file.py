"""``base``: an experiment file under a study."""

import pytest

from llenergymeasure.cli.overrides import Overrides, study_with
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.config.yaml_strict import load_yaml
from llenergymeasure.errors import ConfigError

BASE = "model: m\nbackend: pytorch\ndecoder:\n  max_new_tokens: 16\n  ignore_eos: false\npytorch: {batch_size: 4}\n"
STUDY = "base: base.yaml\ndecoder: {max_new_tokens: 32}\nsweep:\n  n: [1, 2]\n"


def written(folder, study=STUDY, base=BASE, at="base.yaml"):
    (folder / at).parent.mkdir(parents=True, exist_ok=True)
    (folder / at).write_text(base)
    (folder / "study.yaml").write_text(study)
    return folder / "study.yaml"


def test_a_study_lies_over_its_base(tmp_path):
    """Deeply: what the study does not say, the base says. Its text is kept for the study's folder."""
    study = StudyConfig.from_yaml(written(tmp_path))
    assert [config.n for config in study.experiments] == [1, 2]
    first = study.experiments[0]
    assert (first.backend, first.decoder.max_new_tokens, first.decoder.ignore_eos) == ("pytorch", 32, False)
    assert first.section("pytorch").batch_size == 4
    assert study.base is not None and (study.base.name, study.base.text) == ("base.yaml", BASE)


def test_an_error_in_the_base_names_its_file_and_line(tmp_path):
    """And one in the study the study's."""
    path = written(tmp_path, base=BASE.replace("ignore_eos: false", "ignore_eos: perhaps"))
    with pytest.raises(ConfigError, match=r"base\.yaml:5: decoder\.ignore_eos: should be true or false"):
        StudyConfig.from_yaml(path)
    path = written(tmp_path, study=STUDY.replace("32", "many"))
    with pytest.raises(ConfigError, match=r"study\.yaml:2: decoder\.max_new_tokens: should be a whole number"):
        StudyConfig.from_yaml(path)
    path = written(tmp_path, base="modle: m\n" + BASE)
    with pytest.raises(ConfigError, match=r"base\.yaml:1: unknown key 'modle' \(did you mean 'model'\?\)"):
        StudyConfig.from_yaml(path)
    path = written(tmp_path, base="model: [\n")
    with pytest.raises(ConfigError, match=r"base\.yaml:\d+:\d+: not valid YAML"):
        StudyConfig.from_yaml(path)


@pytest.mark.parametrize(
    ("study", "base", "message"),
    [
        ("base: bas.yaml\n", BASE, r"study\.yaml:1: base: there is no file 'bas\.yaml' \(did you mean 'base\.yaml'"),
        ("name: s\nbase: 5\n", BASE, r"study\.yaml:2: base: should be the path of a file, found 5"),
        ("base: base.yaml\n", "model: m\nsweep: {n: [1]}\n", r"base\.yaml:2: 'sweep' makes this a study"),
        ("base: base.yaml\n", "model: m\nbase: c.yaml\n", r"base\.yaml:2: 'base' .*has no base of its own"),
        ("base: base.yaml\n", "model: m\nbackend: [pytorch]\n", r"base\.yaml:2: 'backend' makes this a study"),
    ],
)
def test_a_base_that_is_none_is_refused(tmp_path, study, base, message):
    """It is there, and it is an experiment."""
    with pytest.raises(ConfigError, match=message):
        StudyConfig.from_yaml(written(tmp_path, study, base))


def test_paths_in_a_base_start_at_the_base(tmp_path):
    """Files that lie beside it are found from the study's folder; names of the hub and of datasets stay."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "prompts.jsonl").write_text("{}\n")
    (tmp_path / "shared" / "mixed").write_text("")
    base = "model: owner/name\ndataset: {path: prompts.jsonl}\nbackend: pytorch\n"
    study = StudyConfig.from_yaml(written(tmp_path, "base: shared/base.yaml\n", base, "shared/base.yaml"))
    assert study.experiments[0].dataset.path == "./shared/prompts.jsonl"
    assert study.experiments[0].model == "owner/name"
    plain = written(tmp_path, "base: shared/base.yaml\n", "model: m\ndataset: mixed\n", "shared/base.yaml")
    assert StudyConfig.from_yaml(plain).experiments[0].dataset == "mixed"


def test_flags_lie_over_a_study_and_its_base(tmp_path):
    """As over any study."""
    flags = Overrides.of_flags(["decoder.ignore_eos=true"], backend=None, batch_size=2, shared={}, execution={})
    study = study_with(load_yaml(written(tmp_path)), flags)
    assert study.experiments[0].decoder.ignore_eos
    assert study.experiments[0].section("pytorch").batch_size == 2
    assert study.base is not None
