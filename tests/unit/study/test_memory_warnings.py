from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llenergymeasure.model.inputs import pack_ids, write_inputs
from llenergymeasure.model.job import BackendChoice, ModelRef
from llenergymeasure.model.machine import Architecture, Gpu
from llenergymeasure.plan.plan import Plan
from llenergymeasure.study import memory
from llenergymeasure.study.memory import device_bytes, memory_warnings, visible_boards
from llenergymeasure.testing.builders import prepared_inputs
from llenergymeasure.testing.plans import planned

_SHAPE = Architecture("llama", 30, 576, 9, 3, 64, 49152, 8192, 134_515_008, 134_515_008, 28_311_552, True, 1536)
_GIB = 2**30


def _plan(folder: Path, **changes: Any) -> Plan:
    """Two experiments of pytorch, one request at a time and two."""
    inputs = prepared_inputs([100, 50])
    (folder / "in").mkdir()
    write_inputs(folder / "in", inputs.description, pack_ids(inputs.ids))
    plan = planned(2)
    fields: dict[str, Any] = {
        "backend": BackendChoice("pytorch", {"batch_size": 2}),
        "model": ModelRef("m", "/m", "directory", architecture=_SHAPE, weight_bytes=2 * _SHAPE.parameters),
        "precision": "bf16",
    }
    return replace(plan, experiments=tuple(replace(one, **fields | changes) for one in plan.experiments))


def test_what_fits_is_not_worth_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan with room says nothing."""
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 8 * _GIB)
    assert list(memory_warnings(_plan(tmp_path), tmp_path)) == []


def test_what_will_not_fit_is_named_before_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each such experiment, with what it takes and what there is; it is tried all the same."""
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: _GIB // 2)
    lines = list(memory_warnings(_plan(tmp_path), tmp_path))
    assert [line.partition(" takes")[0] for line in lines] == ["will not fit: point 0", "will not fit: point 1"]
    assert "512 MiB" in lines[0]


def test_what_nobody_can_tell_is_not_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend without an account of its memory, or a model that is not described, gives no line."""
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 1)
    plan = _plan(tmp_path, model=ModelRef("m", "/m", "directory", architecture_reason="odd"))
    assert list(memory_warnings(plan, tmp_path)) == []
    simulated = replace(
        plan, experiments=tuple(replace(one, backend=BackendChoice("simulated")) for one in plan.experiments)
    )
    assert list(memory_warnings(simulated, tmp_path)) == []


def test_a_devices_memory_is_that_of_its_board() -> None:
    """The first board that is seen counts; without one it is not known, with the reason."""
    boards = (Gpu("GPU-1", "NVIDIA H100", 80 * _GIB), Gpu("GPU-2", "NVIDIA H100", None))
    assert device_bytes("cuda", boards) == (80 * _GIB, "")
    assert device_bytes("cuda", boards[1:])[0] is None
    assert "NVIDIA H100" in device_bytes("cuda", boards[1:])[1]
    assert device_bytes("xpu", boards)[1] == "there is no xpu here whose memory is known"
    assert (device_bytes("cpu", boards)[0] or 0) > 0


def test_boards_are_those_that_the_environment_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask hides boards; one that cannot be understood hides none."""
    boards = (Gpu("GPU-1", "A", 1), Gpu("GPU-2", "B", 2))
    monkeypatch.setattr(memory, "gpus", lambda: boards)
    assert visible_boards({"CUDA_VISIBLE_DEVICES": "GPU-2"}) == boards[1:]
    assert visible_boards({"CUDA_VISIBLE_DEVICES": "0"}) == boards
    assert visible_boards({}) == boards
