from __future__ import annotations

from pathlib import Path

import pytest

from llenergymeasure.cli.main import main
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.schema.dry_run import DryRun
from llenergymeasure.testing.model_files import write_gguf

_GRID = """
name: grid
model: preset:smollm2-135m
weights: random
backend: [pytorch, llamacpp]
dataset: synthetic
energy: {source: estimate}
sweep:
  precision: [bf16, fp16, fp32]
  pytorch.batch_size: [1, 8]
execution: {n_cycles: 2}
"""


@pytest.fixture(autouse=True)
def _no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Nothing answers, and nothing of the user is read."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def _document(capsys: pytest.CaptureFixture[str], *arguments: str) -> DryRun:
    assert main(["run", *arguments, "--dry-run", "--json"]) == 0
    return DryRun.model_validate_json(capsys.readouterr().out)


def _grid(tmp_path: Path, text: str = _GRID) -> str:
    path = tmp_path / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_study_is_planned_without_anything_being_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points, what is skipped and why, the order and forecasts are printed; no folder appears."""
    assert main(["run", _grid(tmp_path), "--dry-run"]) == 0
    text = capsys.readouterr().out
    study = StudyConfig.from_yaml(tmp_path / "grid.yaml")
    assert f"{len(study.experiments)} experiments × 2 cycles" in text
    assert "fits" in text
    assert text.count("Skipped   ") == len(study.skipped) > 0
    assert {path.name for path in tmp_path.iterdir()} == {"grid.yaml"}


def test_the_same_as_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts add up, each point has memory, time and energy, and the order holds every trial once."""
    plan = _document(capsys, _grid(tmp_path))
    assert plan.generated == len(plan.points) + len(plan.skipped) + plan.merged
    assert sorted(plan.order) == [(point, cycle) for point in range(len(plan.points)) for cycle in (0, 1)]
    for point in plan.points:
        assert point.memory.verdict == "fits"
        assert point.memory.peak_bytes is not None
        assert point.time.seconds is not None
        assert point.time.guessed
        assert point.time.joules is None
        assert point.time.joules_reason
    seconds = [point.time.seconds for point in plan.points if point.time.seconds is not None]
    assert plan.totals.seconds == pytest.approx(2 * sum(seconds))
    assert plan.energy.startswith("estimate")


def test_the_document_and_the_real_plan_agree_on_the_design(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hashes are those of a run, so that the order is the one that a run would take."""
    from llenergymeasure.config.hashing import measurement_config_hash, study_design_hash

    plan = _document(capsys, _grid(tmp_path))
    study = StudyConfig.from_yaml(tmp_path / "grid.yaml")
    hashes = [measurement_config_hash(config) for config in study.experiments]
    assert [point.measurement_config_hash for point in plan.points] == hashes
    assert plan.order_seed == int(study_design_hash((one, None) for one in hashes)[:8], 16)


def test_no_valid_point_is_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, with the reasons."""
    broken = "model: m\nbackend: llamacpp\nsweep: {precision: [bf16, fp32]}\n"
    assert main(["run", _grid(tmp_path, broken), "--dry-run"]) == 2
    assert "precision" in capsys.readouterr().err


def test_a_model_that_is_not_here_is_not_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its memory is unknown with the reason, and the plan stands."""
    plan = _document(capsys, "-m", "owner/name", "-b", "pytorch")
    (point,) = plan.points
    assert point.memory.verdict == "unknown"
    assert "owner/name" in (point.memory.reason or "")
    assert point.time.basis.startswith("no basis")
    assert plan.totals.seconds is None
    assert plan.totals.untimed_trials == 1


def test_a_gguf_counts_from_its_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stored bytes for an engine that opens it; for one that converts it, what its parameters will take."""
    write_gguf(tmp_path / "small.gguf")
    stored = _document(capsys, "-m", "small.gguf", "-b", "llamacpp", "-d", "synthetic").points[0].memory
    held = _document(capsys, "-m", "small.gguf", "-b", "pytorch", "--precision", "fp32", "-d", "synthetic").points[0]
    assert stored.weights_bytes is not None
    assert 0 < stored.weights_bytes < (tmp_path / "small.gguf").stat().st_size
    assert held.memory.weights_bytes is not None
    assert held.memory.weights_bytes > stored.weights_bytes
    assert not (tmp_path / "cache" / "models" / "converted").exists()


def test_a_batch_that_is_too_large_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A cache of more than this machine's memory does not fit."""
    plan = _document(
        capsys,
        *("-m", "preset:llama-2-7b", "-b", "pytorch", "-d", "synthetic", "-n", "4096", "--batch-size", "4096"),
        *("--set", "weights=random"),
    )
    assert plan.points[0].memory.verdict == "will not fit"


def test_an_earlier_study_gives_time_and_energy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rate and power are the basis, and it is named."""
    folder = tmp_path / "results" / "before"
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text(
        "experiment_id,model,backend,precision,tokens_per_second,mean_power_w,energy_estimated,load_s,valid\n"
        "before/001_pytorch_b1_d7e4c1_c1,preset:smollm2-135m,pytorch,bf16,100,50,True,1,True\n",
        encoding="utf-8",
    )
    plan = _document(capsys, "-m", "preset:smollm2-135m", "-b", "pytorch", "-d", "synthetic", "--set", "weights=random")
    time = plan.points[0].time
    assert not time.guessed
    assert time.basis.startswith("before: 100 tokens/s")
    # 1 s of loading, 5 batches of one request and a pass of 100, at 128 tokens each.
    assert time.joules == pytest.approx(50 * (1 + 105 * 1.28))


def test_resuming_is_not_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study that was begun has its plan."""
    assert main(["run", "--resume", str(tmp_path), "--dry-run"]) == 2
    assert "--resume" in capsys.readouterr().err


def test_an_engine_that_is_not_here_is_a_problem_and_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is made for a machine that has it; what is missing is listed with its remedy."""
    monkeypatch.setattr("llenergymeasure.study.here.installed_version", lambda spec: None)
    plan = _document(capsys, "-m", "preset:gpt2", "-b", "pytorch", "-d", "synthetic", "--set", "weights=random")
    assert [engine.installed for engine in plan.engines] == [False]
    assert any("pip install torch" in problem for problem in plan.problems)


def test_a_quick_run_has_one_cycle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags that change the plan change the dry run."""
    plan = _document(capsys, _grid(tmp_path, _GRID.replace("execution: {n_cycles: 2}\n", "")), "--quick")
    assert plan.cycles == 1


def test_caps_are_announced_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would be set on the machine is said, and where it cannot be, that too; the points differ by their cap."""
    text = _GRID.replace("  pytorch.batch_size: [1, 8]\n", "  power.cap_w: [null, 300]\n")
    document = _document(capsys, _grid(tmp_path, text))
    assert any("taken back after each" in notice for notice in document.notices)
    assert {point.varied["power.cap_w"] for point in document.points} == {None, 300.0}
    assert len({point.measurement_config_hash for point in document.points}) == len(document.points)
    if {point.device for point in document.points} == {"cpu"}:
        assert any("power caps and clocks are for NVIDIA GPUs" in problem for problem in document.problems)


def test_the_limit_of_a_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The study's own where it sets one, else by what an earlier trial took; none where nothing tells."""
    text = _GRID.replace("[bf16, fp16, fp32]", "[bf16]").replace(
        "pytorch.batch_size: [1, 8]", "pytorch.batch_size: [8]"
    )

    def limits(text: str) -> dict[str, float | None]:
        return {point.backend: point.time.limit_seconds for point in _document(capsys, _grid(tmp_path, text)).points}

    assert limits(text) == {"pytorch": None}
    asked = text.replace("n_cycles: 2", "n_cycles: 2, trial_timeout_seconds: 77")
    assert limits(asked) == {"pytorch": 77.0}
    earlier = tmp_path / "results" / "earlier"
    earlier.mkdir(parents=True)
    row = "earlier/001_pytorch_b8_000000_c1,preset:smollm2-135m,pytorch,bf16,50.0,True"
    (earlier / "results.csv").write_text(f"experiment_id,model,backend,precision,tokens_per_second,valid\n{row}\n")
    found = limits(text)["pytorch"]
    assert found is not None and found > 600


def test_points_that_are_equal_once_they_are_resolved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two names of the same data, and a backend that is written here and filled in there: one experiment, and it is said."""
    write_gguf(tmp_path / "small.gguf")
    for name in ("one.jsonl", "two.jsonl"):
        (tmp_path / name).write_text('{"prompt": "w1 w2"}\n')
    data = "model: ./small.gguf\nbackend: llamacpp\nn: 1\nsweep: {dataset: [./one.jsonl, ./two.jsonl]}\n"
    engine = "model: ./small.gguf\ndataset: synthetic\nexperiments: [{backend: llamacpp}, {n: 100}]\n"
    for text in (data, engine):
        plan = _document(capsys, _grid(tmp_path, text))
        assert (plan.generated, len(plan.points), plan.merged) == (2, 1, 1)
        assert any("1 point merged" in notice for notice in plan.notices)
