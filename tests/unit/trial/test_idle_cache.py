"""Idle power that was measured not long ago."""

from datetime import UTC, datetime, timedelta

import pytest

from llenergymeasure.model.idle import IdleDomain, IdlePower
from llenergymeasure.model.reading import Channel
from llenergymeasure.trial.idle_cache import recall, remember

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BOARD = Channel(0, "nvml", "gpu", "GPU-1", "H100", "counter", "J", 10.0)
HEAT = Channel(1, "nvml", "gpu", "GPU-1", "H100", "temperature", "C", 1.0)
OTHER = Channel(0, "nvml", "gpu", "GPU-2", "H100", "counter", "J", 10.0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _idle(age_s=0.0):
    measured = NOW - timedelta(seconds=age_s)
    return IdlePower("study/trial", measured.isoformat(), 71.5, 0.2, (IdleDomain("GPU-1", "gpu", 71.5, 0.2),))


def test_it_is_recalled_with_its_age():
    """For the same sensors, whatever else is read beside them."""
    remember([BOARD, HEAT], _idle(age_s=600))
    found = recall([BOARD], NOW, 3600)
    assert found is not None
    assert (found.power_w, found.age_s, found.experiment_id) == (71.5, 600, "study/trial")


@pytest.mark.parametrize(("age_s", "max_age_s"), [(3601, 3600), (1, 0), (-5, 3600)])
def test_what_is_too_old_or_of_the_future_is_measured_again(age_s, max_age_s):
    """0 seconds means always; a clock that was set back is not trusted."""
    remember([BOARD], _idle(age_s=age_s))
    assert recall([BOARD], NOW, max_age_s) is None


def test_another_board_has_an_idle_of_its_own():
    """Nothing is carried from one device to another."""
    remember([BOARD], _idle())
    assert recall([OTHER], NOW, 3600) is None
    assert recall([], NOW, 3600) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"power_w": "x"}', '{"measured_at": 5}'])
def test_a_file_that_cannot_be_read_is_none(cache, text):
    """The idle is measured again."""
    remember([BOARD], _idle())
    (file,) = (cache / "idle").iterdir()
    file.write_text(text)
    assert recall([BOARD], NOW, 3600) is None


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch):
    """A file in the way of the folder."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "file"))
    remember([BOARD], _idle())
    assert recall([BOARD], NOW, 3600) is None
