"""From a study file to its plan, with the simulated engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from llenergymeasure.config.study import StudyConfig
from llenergymeasure.report.observer import Several
from llenergymeasure.study.options import RunOptions, settings_here
from llenergymeasure.study.run import make_plan
from llenergymeasure.testing.model_files import write_gguf

pytestmark = pytest.mark.usefixtures("own_cache")

_STUDY = """
name: twice
model: ./tiny.gguf
backend: simulated
n: 1
sweep: {dataset: [./one.jsonl, ./two.jsonl]}
"""


class Heard(Several):
    """What was said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, message: str, fraction: float | None = None) -> None:
        self.said.append(message)


def test_points_that_are_equal_once_their_data_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of the same prompts are one experiment; it runs once, and that is said."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_gguf(tmp_path / "tiny.gguf")
    for name in ("one.jsonl", "two.jsonl"):
        (tmp_path / name).write_text('{"prompt": "w1 w2"}\n')
    (tmp_path / "twice.yaml").write_text(_STUDY)
    observer = Heard()
    options = RunOptions(settings_here({}), base=tmp_path, source_name="twice.yaml")
    plan, gathered = make_plan(StudyConfig.from_yaml(tmp_path / "twice.yaml"), options, tmp_path / "results", observer)
    assert len(plan.experiments) == 1 and plan.merged == 1 and len(gathered.inputs) == 1
    assert {trial.point for trial in plan.trials} == {0} and plan.source_file == "twice.yaml"
    assert any("1 point merged" in line for line in observer.said)
    assert plan.experiments[0].limits.run_seconds is None, "nothing tells how long a trial may take"
