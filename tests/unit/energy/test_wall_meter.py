"""The example of a wall meter: an installed plug-in, read over real HTTP from recorded answers."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llenergymeasure import plugins
from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy.contract import Surroundings, Unavailable
from llenergymeasure.energy.select import Selection, select
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Reading, Readings, Readout, Status
from llenergymeasure.testing.recorded_server import Recorded, recorded_server
from llenergymeasure.units import NS_PER_S

_EXAMPLE = Path(__file__).parents[3] / "examples" / "wall_meter_shelly"
_AROUND = Surroundings(MonotonicClock(), "some CPU", 2)
_STATUS = "/rpc/Switch.GetStatus?id=0"
# As the maker's description of the interface shows them.
_ANSWERS: dict[str, Any] = {
    "/rpc/Shelly.GetDeviceInfo": {
        "id": "shellyplugsg3-0123456789ab",
        "model": "S3PL-00112EU",
        "gen": 3,
        "auth_en": False,
    },
    _STATUS: {
        "id": 0,
        "output": True,
        "apower": 312.4,
        "voltage": 231.2,
        "aenergy": {"total": 1234.567, "by_minute": [5206.6, 5201.9, 5210.0], "minute_ts": 1753500000},
        "temperature": {"tC": 41.2, "tF": 106.2},
    },
    "/rpc/PM1.GetStatus?id=0": {"id": 0, "apower": 80.0, "aenergy": {"total": 2.0}},
}


def _recorded(answer: Any) -> tuple[int, bytes]:
    return 200, json.dumps(answer).encode()


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """A device that answers, whose address the environment names."""
    with recorded_server({path: _recorded(answer) for path, answer in _ANSWERS.items()}) as recorded:
        monkeypatch.setenv("SHELLY_ADDRESS", recorded.address)
        monkeypatch.delenv("SHELLY_COMPONENT", raising=False)
        yield recorded


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as an installer leaves it: its module, and what its ``pyproject.toml`` says of entry points."""
    project = tomllib.loads((_EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "llem_shelly-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "llem_shelly.py").write_text((_EXAMPLE / "llem_shelly.py").read_text(encoding="utf-8"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "llem_shelly", raising=False)


def _select(*wish: str) -> Selection:
    return select(wish, _AROUND, known=("shelly",))


def _channels(selection: Selection) -> dict[str, Channel]:
    return {channel.kind: channel for channel in selection.channels}


def test_the_installed_plug_in_is_found_and_chosen(plug: Recorded) -> None:
    """``auto`` tries it like any other, and its verdict says what it reads."""
    assert "shelly" in plugins.names("energy")
    selection = _select("auto")
    assert selection.verdicts[0].chosen
    assert selection.verdicts[0].reason == "Shelly S3PL-00112EU switch:0 (wall): energy counter, instant power"


def test_watt_hours_become_joules(plug: Recorded) -> None:
    """Counter and power come from one answer."""
    selection = _select("shelly")
    asked = len(plug.asked)
    counter, power = selection.reads[0].source.read(selection.channels)
    assert counter.value == pytest.approx(1234.567 * 3600)
    assert power.value == 312.4
    assert plug.asked[asked:] == [_STATUS]


def test_a_meter_that_cannot_switch_is_asked_by_its_component(plug: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """``SHELLY_COMPONENT`` names what is asked."""
    monkeypatch.setenv("SHELLY_COMPONENT", "pm1:0")
    selection = _select("shelly")
    assert [reading.value for reading in selection.reads[0].source.read(selection.channels)] == [7200.0, 80.0]


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (401, b""),
        (200, b"no json"),
        (200, b"null"),
        _recorded({"id": 0, "apower": None, "aenergy": {}}),
        _recorded({"id": 0, "apower": 0.0, "aenergy": {"total": 0}}),
    ],
    ids=["an error", "a password is wanted", "no JSON", "nothing", "no values", "zeros"],
)
def test_a_bad_answer_is_a_failed_reading(plug: Recorded, answer: tuple[int, bytes]) -> None:
    """Never an old value, never a zero; the next good answer is read again."""
    selection = _select("shelly")
    good = plug.answers[_STATUS]
    plug.answers[_STATUS] = answer
    readings = selection.reads[0].source.read(selection.channels)
    assert [reading.status for reading in readings] == [Status.FAILED, Status.FAILED]
    assert all(math.isnan(reading.value) for reading in readings)
    assert selection.verdicts_now() == selection.verdicts
    plug.answers[_STATUS] = good
    assert [reading.status for reading in selection.reads[0].source.read(selection.channels)] == [Status.OK, Status.OK]


def test_a_relay_without_a_meter_is_unavailable(plug: Recorded) -> None:
    """A component with neither power nor energy is no source."""
    plug.answers[_STATUS] = _recorded({"id": 0, "output": True})
    verdict = _select("auto").verdicts[0]
    assert (verdict.usable, verdict.reason) == (
        False,
        "switch:0 has no power meter (set SHELLY_COMPONENT, as in pm1:0)",
    )


def test_nobody_at_the_address_is_unavailable(plug: Recorded) -> None:
    """A refused connection is named with the address."""
    with recorded_server({}) as gone:
        address = gone.address
    module: ModuleType = __import__("llem_shelly")
    found = module.ShellySource(address, "switch:0", _AROUND).channels()
    assert isinstance(found, Unavailable)
    assert address in found.reason


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("SHELLY_ADDRESS", "", "no Shelly is named"), ("SHELLY_COMPONENT", "oven:0", "SHELLY_COMPONENT is 'oven:0'")],
)
def test_settings_that_are_missing_or_wrong_are_a_verdict(
    plug: Recorded, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """Installed and not set up: skipped, with what to set."""
    monkeypatch.setenv(name, value)
    verdict = _select("auto").verdicts[0]
    assert not verdict.usable
    assert words in verdict.reason


def test_a_broken_plug_in_beside_it_is_named_and_stops_nothing(plug: Recorded, tmp_path: Path) -> None:
    """The other gets a verdict with what is wrong with it."""
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llenergymeasure.energy]\nbroken = broken_meter:open_source\n")
    (tmp_path / "broken_meter.py").write_text("1 / 0\n")
    plugins._scan.cache_clear()
    selection = select(
        ("auto",), _AROUND, known=[name for name in plugins.names("energy") if name in ("broken", "shelly")]
    )
    broken, shelly = selection.verdicts
    assert not broken.usable and "division by zero" in broken.reason
    assert shelly.chosen


def test_the_wall_is_shown_apart_and_speaks_for_the_machine(plug: Recorded) -> None:
    """A wall reading is no part of the total, is not summed with what it covers, and is the energy of the node."""
    wall = _channels(_select("shelly"))["power_instant"]
    package = Channel(7, "rapl", "package", "cpu", "a CPU", "counter", "J", 1.0, stated_error=0.05)
    readings = [
        reading
        for second in range(121)
        for reading in (
            Reading(second * NS_PER_S, 0, wall.id, 300.0),
            Reading(second * NS_PER_S, 0, package.id, 100.0 * second),
        )
    ]
    readout = Readout((wall, package), (), Readings.of(readings), ("cpu",))
    energy = energy_of_window(readout, Interval(10 * NS_PER_S, 110 * NS_PER_S))
    assert [part.domain for part in energy.parts] == ["package"]
    assert [part.domain for part in energy.bystanders] == ["wall"]
    assert energy.total_j.value == pytest.approx(10_000.0, rel=0.02)
    assert energy.node_j.value == pytest.approx(30_000.0, rel=0.02)


def test_the_page_shows_the_example_as_it_is() -> None:
    """The how-to page holds the whole file, word for word."""
    page = (_EXAMPLE.parents[1] / "docs" / "how-to" / "write-an-energy-source.md").read_text(encoding="utf-8")
    assert f'```python title="llem_shelly.py"\n{(_EXAMPLE / "llem_shelly.py").read_text(encoding="utf-8")}```\n' in page
