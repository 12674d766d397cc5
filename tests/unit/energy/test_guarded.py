"""Sources that break their contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.energy.contract import EnergySource, Surroundings, Unavailable
from llenergymeasure.energy.guarded import Guarded, open_guarded
from llenergymeasure.energy.select import Reads, Selection, select
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.model.reading import Channel, Reading, SourceVerdict, Status
from llenergymeasure.testing.simulated_source import SimulatedSource
from llenergymeasure.testing.virtual_clock import VirtualClock

_CHANNELS = tuple(
    Channel(number, "wall", "wall", f"plug {number}", "a plug", "counter", "J", 5.0) for number in range(2)
)
_CLOCK = VirtualClock()
_NOW_NS = _CLOCK.now_ns()
_GOOD = [Reading(_NOW_NS, 0, 0, 5.0), Reading(_NOW_NS, 0, 1, 6.0)]


class Plug:
    """A source that answers as it was told, whatever it is asked."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer

    def channels(self) -> Sequence[Channel]:
        self.answer()
        return _CHANNELS

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        return self.answer()  # type: ignore[return-value]

    def close(self) -> None:
        self.answer()


def _guarded(answer: Callable[[], object]) -> Guarded:
    return Guarded("wall", Plug(answer), _CLOCK)


def _raise() -> None:
    raise OSError("no route to host")


def test_what_keeps_the_contract_is_passed_on() -> None:
    """Good readings, and those that say that they failed, are handed on as they are."""
    failed = Reading(_NOW_NS, 0, 1, math.nan, Status.DEVICE_LOST)
    source = _guarded(lambda: [_GOOD[0], failed])
    assert source.read(_CHANNELS) == [_GOOD[0], failed]
    assert source.broken is None


def test_a_read_that_raises_is_a_failed_reading_of_each_channel() -> None:
    """The trial goes on without this source, and hears what was raised and where."""
    source = _guarded(_raise)
    readings = source.read(_CHANNELS)
    assert [(reading.channel, reading.status) for reading in readings] == [(0, Status.FAILED), (1, Status.FAILED)]
    assert all(math.isnan(reading.value) for reading in readings)
    assert source.broken is not None
    assert source.broken.startswith("a read raised OSError: no route to host (test_guarded.py:")


@pytest.mark.parametrize(
    "answer",
    [[], _GOOD[:1], _GOOD[::-1], [*_GOOD, _GOOD[1]], None, 7, ["5.0", "6.0"]],
    ids=["nothing", "too few", "another order", "too many", "None", "a number", "texts"],
)
def test_an_answer_of_another_shape_is_not_believed(answer: object) -> None:
    """Which reading is whose cannot be told: all failed."""
    source = _guarded(lambda: answer)
    assert [reading.status for reading in source.read(_CHANNELS)] == [Status.FAILED] * 2
    assert source.broken is not None


@pytest.mark.parametrize(
    "bad",
    [
        Reading(_NOW_NS, 0, 1, math.nan),
        Reading(_NOW_NS, 0, 1, math.inf),
        Reading(_NOW_NS, 0, 1, -1.0),
        Reading(_NOW_NS, 0, 1, 0.0, Status.FAILED),
        Reading(_NOW_NS - 1, 0, 1, 6.0),
        Reading(_NOW_NS + 1, 0, 1, 6.0),
        Reading(_NOW_NS, 5, 1, 6.0),
        Reading(_NOW_NS, -5, 1, 6.0),
    ],
    ids=["NaN", "infinite", "negative", "a failed zero", "old", "from the future", "begun before", "a negative call"],
)
def test_a_reading_that_cannot_be_true_is_replaced(bad: Reading) -> None:
    """It alone: the other channel of the same answer keeps its value."""
    source = _guarded(lambda: [_GOOD[0], bad])
    good, replaced = source.read(_CHANNELS)
    assert good == _GOOD[0]
    assert replaced.status is Status.FAILED and math.isnan(replaced.value)
    assert source.broken is not None


def test_a_source_that_broke_once_is_read_on() -> None:
    """Readings come back with the values; what was wrong at first stays on record."""
    answers = iter([None, _GOOD, 7])
    source = _guarded(lambda: next(answers))
    assert [source.read(_CHANNELS)[0].status for _ in range(3)] == [Status.FAILED, Status.OK, Status.FAILED]
    assert source.broken is not None and "'NoneType' object is not iterable" in source.broken


_numbers = st.one_of(st.floats(), st.just(0.0), st.floats(0, 1e6))
_readings = st.builds(
    Reading,
    st.integers(_NOW_NS - 2, _NOW_NS + 2),
    st.integers(-2, 2),
    st.integers(-1, 2),
    _numbers,
    st.sampled_from(Status),
)


@given(answer=st.one_of(st.lists(_readings, max_size=3), st.none(), st.lists(st.text(max_size=2), max_size=2)))
def test_whatever_it_answers_there_is_one_believable_reading_a_channel(answer: object) -> None:
    """Values are finite and not negative exactly where the status is OK, and times lie within the call."""
    readings = _guarded(lambda: answer).read(_CHANNELS)
    assert [reading.channel for reading in readings] == [0, 1]
    for reading in readings:
        assert reading.t_ns == _NOW_NS and reading.call_ns == 0
        if reading.status is Status.OK:
            assert math.isfinite(reading.value) and reading.value >= 0
        else:
            assert math.isnan(reading.value)


def test_raising_elsewhere_stops_nothing_either() -> None:
    """While being opened, asked for its channels, or closed."""
    found = _guarded(_raise).channels()
    assert isinstance(found, Unavailable) and "OSError: no route to host" in found.reason
    _guarded(_raise).close()

    def open_source(around: Surroundings) -> EnergySource:
        raise ZeroDivisionError

    with pytest.raises(EnergyError, match="opening it raised ZeroDivisionError"):
        open_guarded("wall", open_source, Surroundings(_CLOCK, "a CPU", 2))


def test_a_reason_of_its_own_is_kept() -> None:
    """A source that says why it cannot be tried is not called broken."""

    def open_source(around: Surroundings) -> EnergySource:
        raise LLEMError("no address", hint="set wall.host")

    with pytest.raises(LLEMError, match="no address"):
        open_guarded("wall", open_source, Surroundings(_CLOCK, "a CPU", 2))


def test_a_broken_plug_in_costs_no_other_source() -> None:
    """Selection goes on with the good one, and the verdict says what the broken one did."""

    def load(name: str) -> Callable[[Surroundings], EnergySource]:
        return (lambda around: Plug(_raise)) if name == "wall" else (lambda around: SimulatedSource(around.clock))

    selection = select(("auto",), Surroundings(_CLOCK, "a CPU", 2), known=("wall", "other"), load=load)
    selection.close()
    verdicts = {verdict.source: verdict for verdict in selection.verdicts}
    assert not verdicts["wall"].usable and "OSError: no route to host" in verdicts["wall"].reason
    assert verdicts["other"].chosen


def test_the_verdict_on_a_source_changes_when_it_breaks() -> None:
    """It stays chosen, is no longer usable, and says why; the others' verdicts stay."""
    source = _guarded(_raise)
    verdicts = (SourceVerdict("nvml", True, "a GPU", chosen=True), SourceVerdict("wall", True, "a plug", chosen=True))
    selection = Selection(verdicts, (Reads(source, _CHANNELS),))
    assert selection.verdicts_now() == verdicts
    source.read(_CHANNELS)
    first, second = selection.verdicts_now()
    assert first == verdicts[0]
    assert (second.source, second.usable, second.chosen) == ("wall", False, True)
    assert "a read raised OSError" in second.reason
