"""Stored results load for ever, and a stored trace still gives the result beside it.

A folder ``result_<major>_<minor>`` holds what that version of the schema wrote: a small trial that was really recorded (SmolLM2
with llama.cpp on a CPU), names of the machine taken out. ``--update-golden`` writes the newest folder's result anew: read the
difference before it is committed, for it is a change that users see.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.data.device_peaks import device_peaks
from llenergymeasure.errors import StoreError
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.load import SCHEMA_VERSION
from llenergymeasure.schema.quantity import Record
from llenergymeasure.store.trace_files import read_trace

HERE = Path(__file__).parent
STORED = sorted(HERE.glob("result_*"))
NEWEST = HERE / f"result_{SCHEMA_VERSION.replace('.', '_')}"


def _stored(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return value


def _same(found: Any, stored: Any, path: str = "$", *, whole: bool = True) -> None:
    """Equal, numbers to the last digits that platforms share; unless ``whole``, fields that were added since do not count."""
    if isinstance(stored, dict) and isinstance(found, dict):
        assert set(stored) <= set(found), path
        assert not whole or set(found) == set(stored), path
        for key, value in stored.items():
            _same(found[key], value, f"{path}.{key}", whole=whole)
    elif isinstance(stored, list) and isinstance(found, list):
        assert len(found) == len(stored), path
        for index, value in enumerate(stored):
            _same(found[index], value, f"{path}[{index}]", whole=whole)
    elif isinstance(stored, float) and isinstance(found, float):
        assert math.isclose(found, stored, rel_tol=1e-9), f"{path}: {found} is not {stored}"
    else:
        assert found == stored, path


def test_the_stored_trace_gives_the_stored_result(request: pytest.FixtureRequest) -> None:
    """Analysis is pure: what was recorded once gives the same numbers today."""
    result = analyse(read_trace(NEWEST), device_peaks())
    if request.config.getoption("--update-golden"):
        result.to_json(NEWEST / "result.json")
    _same(json.loads(result.to_json()), _stored(NEWEST))


@pytest.mark.parametrize("folder", STORED, ids=lambda folder: folder.name)
def test_a_stored_result_loads_with_its_numbers(folder: Path) -> None:
    """Whatever was added since, an old file is read and nothing in it is lost."""
    result = ExperimentResult.from_json(folder / "result.json")
    assert result.energy_per_output_token_j.value and result.tokens_per_second.value
    _same(json.loads(result.to_json()), _stored(folder), whole=False)
    assert result.summary()


def test_every_released_schema_has_a_stored_result() -> None:
    """The one that this program writes among them."""
    assert NEWEST in STORED
    assert [_stored(folder)["schema_version"] for folder in STORED] == [
        folder.name.removeprefix("result_").replace("_", ".") for folder in STORED
    ]


def _required(record: Record) -> dict[str, Any]:
    """A record without every field that may be left out, at every depth."""
    fields = {}
    for name, field in type(record).model_fields.items():
        value = getattr(record, name)
        if field.is_required():
            fields[name] = _required(value) if isinstance(value, Record) else record.model_dump(mode="json")[name]
    return fields


def test_a_result_with_fewer_fields_loads_with_none(tmp_path: Path) -> None:
    """What an older minor version did not write is ``None``, and a quantity says why."""
    fewer = _required(ExperimentResult.from_json(NEWEST / "result.json"))
    for added in ("utilisation", "carbon", "energy_adjusted_j", "schema_version"):
        assert added not in fewer
    (tmp_path / "result.json").write_text(json.dumps(fewer), encoding="utf-8")
    result = ExperimentResult.from_json(tmp_path / "result.json")
    assert (result.utilisation.cpu_percent, result.compute.mfu, result.method.steady_state_window) == (None, None, None)
    assert (result.tokens.mismatches, result.memory.device_peak_bytes) == (None, None)
    assert result.environment.machine is None and result.latency.ttft_ms.p50_95 is None
    for quantity in (result.energy_adjusted_j, result.energy.load_energy_j, result.energy.baseline_power_w.idle):
        assert quantity.value is None and "version that wrote this" in str(quantity.reason)
    assert result.summary()


def test_a_newer_minor_version_keeps_its_fields_at_every_depth(tmp_path: Path) -> None:
    """Read and written by an older program, a newer file loses nothing."""
    newer = _stored(NEWEST) | {"schema_version": f"{SCHEMA_VERSION.split('.')[0]}.99", "added": [1, {"x": None}]}
    newer["energy"]["added"] = newer["environment"]["machine"]["added"] = newer["latency"]["ttft_ms"]["added"] = 1.5
    (tmp_path / "result.json").write_text(json.dumps(newer), encoding="utf-8")
    again = json.loads(ExperimentResult.from_json(tmp_path / "result.json").to_json())
    _same(again, newer, whole=False)


def test_a_newer_major_version_is_refused_in_clear_words(tmp_path: Path) -> None:
    """Which version it is, which one this program reads, and what to do."""
    (tmp_path / "result.json").write_text(json.dumps(_stored(NEWEST) | {"schema_version": "3.0"}), encoding="utf-8")
    with pytest.raises(StoreError, match=rf"schema 3\.0, this program reads {SCHEMA_VERSION}") as caught:
        ExperimentResult.from_json(tmp_path / "result.json")
    assert "newer llenergymeasure" in caught.value.hint


def test_nothing_of_the_machine_that_recorded_it_is_left() -> None:
    """No home folder, no temporary folder, no boot id."""
    for name in ("trace.json", "result.json"):
        text = (NEWEST / name).read_text(encoding="utf-8")
        for word in ("/root", "/home", "/tmp", "/work"):
            assert word not in text, f"{name} holds {word}"
