from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llenergymeasure.analyse.study.aggregate import Group, aggregate
from llenergymeasure.errors import StoreError
from llenergymeasure.schema.energy import EnergyGroup, Witness
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.performance import LatencyGroup, Spread
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.testing.builders import experiment_result, joules


def test_a_result_comes_back(tmp_path: Path) -> None:
    """A result read from its file is the one that was written."""
    result = experiment_result(remarks=("preliminary",))
    text = result.to_json(tmp_path / "result.json")
    assert (tmp_path / "result.json").read_text(encoding="utf-8") == text == result.to_json()
    assert ExperimentResult.from_json(tmp_path / "result.json") == result


def test_a_newer_minor_version_loads_and_keeps_its_fields(tmp_path: Path) -> None:
    """Additions are not lost when an older program writes the result again."""
    value = {**json.loads(experiment_result().to_json()), "schema_version": "2.9", "new_group": {"x": 1}}
    value["tokens"]["new_count"] = 7
    (tmp_path / "result.json").write_text(json.dumps(value))
    again = json.loads(ExperimentResult.from_json(tmp_path / "result.json").to_json())
    assert again["new_group"] == {"x": 1} and again["tokens"]["new_count"] == 7


def test_another_major_version_is_refused_with_what_helps(tmp_path: Path) -> None:
    """Whatever such a file holds, the version is what is said."""
    (tmp_path / "result.json").write_text('{"schema_version": "3.0"}')
    with pytest.raises(StoreError, match=r"schema 3\.0, this program reads 2\.0") as caught:
        ExperimentResult.from_json(tmp_path / "result.json")
    assert "newer" in caught.value.hint


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"schema_version": "2.0", "cycle": "many"}', "\xff"])
def test_a_file_that_is_no_result_is_named(tmp_path: Path, content: str | None) -> None:
    """Missing, broken and foreign files are one kind of error."""
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(StoreError, match=f"{path}: not a result"):
        ExperimentResult.from_json(path)


# --- as a person reads it


def test_summary_of_a_metered_result() -> None:
    """Energy with its scope and interval, power, rate, latency, tokens, memory, validity."""
    spread = Spread(p50=12.34)
    none = Spread(reason="not observed")
    result = experiment_result(
        energy_total_j=joules(50.0, absolute_95={"low": 47.0, "high": 53.0}),
        energy_per_output_token_j=joules(0.05, "J/token", absolute_95={"low": 0.047, "high": 0.053}),
        mean_power_w=joules(5.0, "W", absolute_95={"low": 4.7, "high": 5.3}),
        tokens_per_second=Quantity(value=100.0, unit="tokens/s", repeatability_95={"low": 98.0, "high": 102.0}),
        latency=LatencyGroup(
            ttft_ms=spread, itl_ms=none, tpot_ms=none, e2e_ms=none, queue_ms=none, latency_method="per_token"
        ),
    )
    assert result.summary().splitlines() == [
        "  Energy       50.0 J     50.0 mJ/output token     gpu, metered",
        "  Absolute     (47 … 53) J     (47 … 53) mJ/output token     with the sensor's own error; grade B",
        "  Power        5.00 W",
        "  Throughput   100.0 ± 2.0 tokens/s (single run)",
        "  Latency      TTFT 12.3 ms p50    ITL – (not observed)",
        "  Tokens       1,000 out, 100 in, 10 requests",
        "  Memory       128 MiB peak of the worker process",
        "  Valid        yes",
    ]


def test_summary_shows_repeatability_of_metered_energy() -> None:
    """Value and uncertainty at the same decimal in one prefix, and that it is that of a single run; memory of the device too."""
    result = experiment_result(
        energy_total_j=joules(
            53.42, repeatability_95={"low": 51.5, "high": 55.3}, absolute_95={"low": 40.0, "high": 70.0}
        ),
        energy_per_output_token_j=joules(0.05342, "J/token", repeatability_95={"low": 0.0515, "high": 0.0553}),
        mean_power_w=joules(1234.0, "W", repeatability_95={"low": 1111.0, "high": 1300.0}),
        memory=experiment_result().memory.model_copy(update={"device_allocated_peak_bytes": 2**30}),
    )
    lines = result.summary().splitlines()
    assert lines[0] == "  Energy       53.4 ± 1.9 J     53.4 ± 1.9 mJ/output token     gpu, metered (single run)"
    assert lines[1] == "  Absolute     (40 … 70) J     with the sensor's own error; grade B"
    assert lines[2] == "  Power        1.23 ± 0.12 kW"
    assert lines[6] == "  Memory       1,024 MiB peak allocated on the device, 128 MiB peak of the worker process"


def test_summary_without_bounds() -> None:
    """A quantity without an interval is shown alone, and a rate says why it has none."""
    lines = experiment_result().summary().splitlines()
    assert lines[0] == "  Energy       50.0 J     50.0 mJ/output token     gpu, metered"
    assert lines[1] == "  Power        5.00 W"
    assert lines[2].endswith("100 tokens/s  (single run, no interval: window too short for a within-run interval)")


def test_summary_of_what_is_missing() -> None:
    """Dashes with reasons, and an invalid result says NO."""
    lines = experiment_result(per_token_j=None, rate=None, remarks=("physics", "simulated")).summary().splitlines()
    assert lines[0] == "  Energy       –  not measured: no energy source was read"
    assert lines[1] == "  Power        –"
    assert lines[2] == "  Throughput   –  the window holds no output token"
    assert "  Valid        NO; notes: physics, simulated" in lines


def test_only_an_estimate_has_bounds_beside_its_value() -> None:
    """Bounds of a model and the absolute interval of a meter do not look the same."""
    bounds = {"low": 10.0, "high": 90.0}
    estimated, metered = (
        experiment_result(estimated=model, energy_total_j=joules(50.0, estimated=model, absolute_95=bounds)).summary()
        for model in (True, False)
    )
    assert "50.0 J  (10 … 90)" in estimated and "Absolute" not in estimated
    assert "50.0 J  (" not in metered and "  Absolute     (10 … 90) J" in metered


def test_what_varies_by_more_than_itself_says_so() -> None:
    """A rate of 70 ± 400 would speak of rates below 0, and so would an absolute interval."""
    rate = Quantity(value=70.2, unit="tokens/s", repeatability_95={"low": -330.0, "high": 470.0})
    assert (
        "  Throughput   70.2 tokens/s ± more than 100 % (single run)"
        in experiment_result(tokens_per_second=rate).summary().splitlines()
    )


def test_a_remark_that_puts_numbers_in_doubt_says_what_was_seen_and_what_helps() -> None:
    """Information stays a code; a warning has its evidence and its remedy below."""
    lines = experiment_result(remarks=("preliminary", "contention")).summary().splitlines()
    assert lines[-3:] == [
        "  Valid        yes; notes: preliminary, contention",
        "    contention: a test",
        "      → stop what else runs on the devices, or measure when nobody else does",
    ]


def test_a_witness_is_shown_apart_from_our_energy() -> None:
    """It speaks for the whole trial, or says why it does not."""
    heard = Witness(source="codecarbon", says="RAM()", energy_j=1234.0)
    silent = Witness(source="other", says="", reason="it answered less than twice")
    lines = experiment_result(energy=EnergyGroup(witnesses=(heard, silent))).summary().splitlines()
    assert "  Witness      codecarbon: 1.23 kJ for the whole trial, not the window" in lines
    assert "  Witness      other: –  it answered less than twice" in lines


# --- a study


def _study(results: tuple[ExperimentResult, ...]) -> StudyResult:
    found = aggregate([Group("a", {"n": 1}, results)])
    return StudyResult(
        study_id="s",
        name="s",
        study_design_hash="0" * 16,
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
        completed_at=datetime(2026, 11, 24, tzinfo=UTC),
        measurement_protocol={},
        outcome="complete",
        planned=1,
        ran=1,
        merged=0,
        ranked_by=found.ranked_by,
        aggregates=found.aggregates,
        results=results,
        folder="/somewhere",
    )


def test_a_study_names_its_best() -> None:
    """The best is the one that was ranked first, or nobody."""
    best = _study((experiment_result(),)).best
    assert best is not None and best.label == "a"
    assert _study((experiment_result(remarks=("physics",)),)).best is None


def test_a_summary_holds_no_single_result() -> None:
    """Each trial has its own file; the study's holds what is over all, and no place on this machine."""
    value = json.loads(_study((experiment_result(),)).to_json())
    assert "results" not in value and "folder" not in value
    assert value["aggregates"][0]["best"] is True and value["schema_version"] == "2.0"
    assert StudyResult.model_validate(value).aggregates == _study((experiment_result(),)).aggregates


def _stored(folder: Path) -> Path:
    """A study of two results on disk."""
    results = (experiment_result(), experiment_result(cycle=1, per_token_j=0.06))
    files = tuple(f"trials/{result.cycle}/result.json" for result in results)
    for name, result in zip(files, results, strict=True):
        (folder / name).parent.mkdir(parents=True)
        result.to_json(folder / name)
    _study(results).model_copy(update={"result_files": files}).to_json(folder / "study_summary.json")
    return folder


def test_a_study_is_loaded_from_its_folder(tmp_path: Path) -> None:
    """Or from its file; its results are read when they are asked for, once, and its rows are those of a data frame."""
    folder = _stored(tmp_path)
    for place in (folder, folder / "study_summary.json"):
        study = StudyResult.from_json(place)
        assert study.best is not None and study.folder == str(folder)
    assert [result.cycle for result in study.results] == [0, 1] and len(study.to_dataframe()) == 2
    (folder / "trials/1/result.json").unlink()
    assert len(study.results) == 2
    with pytest.raises(StoreError, match="not a result"):
        _ = StudyResult.from_json(folder).results


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    """A folder without one, a list, a single result, and a schema of the future, each with its name."""
    with pytest.raises(StoreError, match="not a result"):
        StudyResult.from_json(tmp_path)
    for text in ("[]", experiment_result().to_json()):
        (tmp_path / "study_summary.json").write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match="not a result"):
            StudyResult.from_json(tmp_path)
    (tmp_path / "study_summary.json").write_text('{"schema_version": "3.0"}', encoding="utf-8")
    with pytest.raises(StoreError, match=r"schema 3\.0"):
        StudyResult.from_json(tmp_path)


def test_a_study_in_memory_keeps_its_results() -> None:
    """Without a folder there is nothing to read; an older file without tiers and comparability loads."""
    assert len(_study((experiment_result(),)).results) == 1
    value = json.loads(_study((experiment_result(),)).to_json())
    for name in ("tiers", "comparability", "result_files"):
        del value[name]
    assert StudyResult.model_validate(value).results == ()
