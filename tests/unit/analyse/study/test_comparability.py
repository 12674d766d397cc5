"""What makes two experiments comparable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llenergymeasure.analyse.study.comparability import between, comparabilities, machine_of, verdict_of
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.testing.builders import experiment_result

_MACHINE = {
    "os": "Linux",
    "kernel": "6",
    "architecture": "x86_64",
    "cpu_model": "a CPU",
    "logical_cpus": 8,
    "visible_cpus": 8,
    "memory_bytes": 2**34,
}
_GPU = {"uuid": "GPU-1", "name": "H100", "driver_version": "550", "power_limit_w": 700.0}


def _result(
    provenance: Mapping[str, Any] = {},
    gpu: Mapping[str, Any] | None = None,
    version: str = "1.0",
    **changes: Any,
) -> ExperimentResult:
    """A result on one GPU, with another driver, limit or board where ``gpu`` says so."""
    board = {**_GPU, **(gpu or {})}
    fields: dict[str, Any] = {
        "provenance": {
            "session": {"device_ids": [board["uuid"]]},
            "precision": "bf16",
            "device": "cuda",
            "model": {"revision": "r", "weights_sha256": "w"},
            "inputs": {"sha256": "ids", "n": 100, "dataset_sha256": "data"},
            "protocol": {
                "warmup": {"n_warmup": 5},
                "window": {"min_seconds": 10},
                "preliminary": False,
                "quiet_seconds": 1,
            },
            **provenance,
        },
        "environment": {
            "machine": {**_MACHINE, "gpus": [board, {**_GPU, "uuid": "GPU-idle", "driver_version": "1"}]},
            "engine": "engine",
            "engine_version": version,
        },
    }
    return experiment_result(**fields | changes)


def _fields(*args: Any) -> list[str]:
    return [found.field for found in between(*args)]


def test_equal_results_are_comparable() -> None:
    """Nothing differs."""
    assert between(_result(), _result()) == () and verdict_of(()) == "comparable"


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        (_result(version="1.1"), ["engine_version"]),
        (_result(gpu={"driver_version": "560"}), ["driver"]),
        (_result(gpu={"power_limit_w": 500.0}), ["power_limit_w"]),
        (_result(gpu={"power_smoothing_profile": 2}), ["power_smoothing_profile"]),
        (_result(gpu={"uuid": "GPU-2"}), ["board"]),
        (_result({"precision": "fp16"}), ["precision"]),
        (_result({"device": "cpu"}), ["device"]),
        (_result({"model": {"revision": "s", "weights_sha256": "w"}}), ["model_revision"]),
        (_result({"model": {"revision": "r", "weights_sha256": "v"}}), ["model_weights"]),
        (_result({"inputs": {"sha256": "other", "n": 100, "dataset_sha256": "data"}}), ["token_ids"]),
        (_result({"protocol": {"preliminary": True}}), ["protocol"]),
        (_result(llenergymeasure_version="9"), ["llenergymeasure_version"]),
        (_result(measurement_config_hash="f" * 64), ["measurement_config_hash"]),
    ],
)
def test_a_different_fact_is_a_caveat(other: ExperimentResult, fields: list[str]) -> None:
    """It is named with both values."""
    found = between(_result(), other)
    assert [one.field for one in found] == fields and verdict_of(found) == "with caveats"
    assert all(one.values[0] != one.values[1] for one in found)


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (_result(energy_scope="package, estimated"), "energy_scope"),
        (_result({"inputs": {"sha256": "ids", "n": 100, "dataset_sha256": "x"}}), "dataset"),
        (_result({"inputs": {"sha256": "ids", "n": 50, "dataset_sha256": "data"}}), "prompts"),
    ],
)
def test_other_work_or_another_scope_is_not_comparable(other: ExperimentResult, field: str) -> None:
    """Joules of other things, or for other things."""
    found = between(_result(), other)
    assert [one.field for one in found] == [field] and verdict_of(found) == "not comparable"


def test_what_is_varied_on_purpose_is_no_caveat() -> None:
    """Nor what follows from it."""
    other = _result(
        {"inputs": {"sha256": "other", "n": 50, "dataset_sha256": "data"}}, measurement_config_hash="f" * 64
    )
    assert _fields(_result(), other) == ["measurement_config_hash", "prompts", "token_ids"]
    assert _fields(_result(), other, ["n"]) == []
    assert _fields(_result(), _result(version="2"), ["backend"]) == []
    assert _fields(_result(), _result(version="2"), ["precision"]) == ["engine_version"]


def test_a_fact_that_is_not_known_differs_from_one_that_is() -> None:
    """What was not recorded cannot be said to be the same."""
    (found,) = between(_result(), _result({"precision": None}))
    assert found.values == ("bf16", "not known")
    assert _fields(experiment_result(), experiment_result()) == []


def test_pairs_hold_on_one_machine() -> None:
    """The processor, the boards that worked and their drivers; those that did not work do not matter."""
    assert machine_of(_result()) == "a CPU, 8 CPUs; GPU-1 550"
    assert machine_of(_result({"session": {}})) == "a CPU, 8 CPUs"
    assert machine_of(experiment_result()) == ""


# --- over a study


def test_a_study_on_one_machine_has_no_caveats() -> None:
    """An empty tuple: all pairs are comparable, also where an experiment has no result."""
    assert comparabilities([({"n": 1}, [_result()] * 3), ({"n": 2}, [_result()]), ({"n": 3}, [])]) == ()


def test_experiments_alike_are_listed_together() -> None:
    """One entry for all pairs between two groups that differ in the same."""
    old, new = [_result()], [_result(version="1.1")]
    (found,) = comparabilities([({"x": 1}, old), ({"x": 2}, new), ({"x": 3}, old), ({"x": 4}, new)])
    assert (found.first, found.second, found.verdict) == ((0, 2), (1, 3), "with caveats")
    assert [(one.field, one.values) for one in found.differing] == [("engine_version", ("engine 1.0", "engine 1.1"))]


def test_an_experiment_can_differ_from_itself() -> None:
    """A study that went on with another driver compares cycles that are not alike."""
    mixed = [_result(), _result(gpu={"driver_version": "560"}), _result()]
    (found,) = comparabilities([({}, mixed)])
    assert (found.first, found.second) == ((0,), (0,))
    assert [(one.field, one.values) for one in found.differing] == [("driver", ("550", "560"))]


def test_only_the_keys_in_which_two_differ_excuse_them() -> None:
    """Two engines may have two versions; one engine may not, in a study that varies engines."""
    study: list[tuple[dict[str, Any], list[ExperimentResult]]] = [
        ({"backend": "a", "a.batch_size": 1}, [_result(version="1")]),
        ({"backend": "b"}, [_result(version="2")]),
        ({"backend": "a", "a.batch_size": 2}, [_result(version="3")]),
    ]
    (found,) = comparabilities(study)
    assert (found.first, found.second) == ((0,), (2,))
    study = [({"dataset": value}, [_result({"inputs": {"dataset_sha256": value}})]) for value in "ab"]
    assert comparabilities(study) == ()
    study = [({"dataset.name": value}, [_result({"inputs": {"dataset_sha256": value}})]) for value in "ab"]
    assert comparabilities(study) == ()
