from __future__ import annotations

import pytest

from llenergymeasure import plugins
from llenergymeasure.errors import BackendError, LLEMError
from llenergymeasure.model.request import Request
from llenergymeasure.testing.backend_contract import RecordingSink
from llenergymeasure.testing.builders import trial_job
from llenergymeasure.testing.live_power import FOLDER, LivePower, live_file
from llenergymeasure.testing.mapped_backend import MappedBackend, Script, write_script
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import NS_PER_S

SCRIPT = Script("GPU-1", index=1, load_w=40.0, loaded_w=20.0, work_w=200.0)


@pytest.fixture
def live(tmp_path, monkeypatch):
    """The power file of the script's board, where the worker looks for it."""
    made = LivePower.create(live_file(tmp_path, SCRIPT.index))
    write_script(tmp_path, SCRIPT)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    yield made
    made.close()


class Pausing(VirtualClock):
    """A second passes with each look at it, so that every power lasts."""

    def now_ns(self):
        self.sleep(1.0)
        return super().now_ns()


def test_what_the_engine_does_decides_what_the_board_draws(live):
    """A second each of loading, resting, working and resting again, then nothing; the tokens are the engine's own."""
    clock = Pausing(0)
    session = MappedBackend("simulated", clock).open(trial_job())
    sink = RecordingSink()
    session.run([Request(0, 0, (1, 2), 3)], sink)
    session.close()
    assert live.energy_j(4 * NS_PER_S) == pytest.approx(40.0 + 20.0 + 200.0)
    assert live.energy_j(100 * NS_PER_S) == pytest.approx(40.0 + 20.0 + 200.0 + 20.0)
    assert len(sink.completions[0].output_ids) == 3


def test_the_session_says_that_it_is_simulated_and_which_board_worked(live):
    """Engine ``simulated``, the real one in the version, and the script's board as the device used."""
    facts = MappedBackend("simulated", Pausing(0)).open(trial_job()).facts()
    assert facts.engine == "simulated"
    assert facts.engine_version.startswith("simulated ")
    assert facts.device_ids == ("GPU-1",)


def test_a_model_that_does_not_load_leaves_the_board_idle(live):
    """The error of the engine comes through, and nothing is drawn after it."""
    with pytest.raises(BackendError, match="asked to fail"):
        MappedBackend("simulated", Pausing(0)).open(trial_job(options={"fail": "raise"}))
    assert live.energy_j(50 * NS_PER_S) == pytest.approx(40.0)


def test_without_a_board_nothing_opens(monkeypatch):
    """A user who names the backend by mistake is told that it is for tests."""
    monkeypatch.delenv(FOLDER, raising=False)
    with pytest.raises(BackendError, match="no virtual board") as caught:
        MappedBackend("simulated", VirtualClock()).open(trial_job())
    assert "for tests" in caught.value.hint


def test_the_table_maps_real_engines():
    """Found by name with the options of the engine, and never listed."""
    for engine in ("llamacpp", "pytorch"):
        mapped, real = plugins.load("backends", f"mapped_{engine}"), plugins.load("backends", engine)
        assert mapped.spec.options is real.spec.options
        assert mapped.spec.name == f"mapped_{engine}" not in plugins.names("backends")


def test_a_file_of_power_takes_so_many_changes(tmp_path, monkeypatch):
    """One change too many is an error, not a silent loss."""
    monkeypatch.setattr("llenergymeasure.testing.live_power._ROOM", 2)
    live = LivePower.create(tmp_path / "live")
    clock = Pausing(0)
    live.draw(1.0, clock.now_ns)
    live.draw(2.0, clock.now_ns)
    with pytest.raises(LLEMError, match="too often"):
        live.draw(3.0, clock.now_ns)
    assert live.energy_j(3 * NS_PER_S) == pytest.approx(3.0)
    live.close()
