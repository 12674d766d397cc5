"""The examples of the repository."""

from pathlib import Path

import pytest

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.study import StudyConfig, is_study
from llenergymeasure.config.yaml_strict import load_yaml

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid(path):
    """All of its points are."""
    if not is_study(load_yaml(path).data):
        assert ExperimentConfig.from_yaml(path).model
        return
    study = StudyConfig.from_yaml(path)
    assert study.experiments and not study.skipped
    assert not study.expansion.merged
