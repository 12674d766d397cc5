from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from llenergymeasure.backends.contract import DeviceMemory, Sink
from llenergymeasure.errors import BackendError, LLEMError
from llenergymeasure.model.event import (
    Event,
    MemoryFacts,
    PowerTrend,
    Progress,
    RequestDone,
    SessionFacts,
    Submission,
    WarmupBatch,
    WarmupDone,
    WindowDone,
    read_events,
)
from llenergymeasure.model.inputs import Inputs
from llenergymeasure.model.job import Protocol, TrialJob, WarmupProtocol, WindowProtocol
from llenergymeasure.model.mark import Mark, interval_of
from llenergymeasure.model.request import Completion, Request
from llenergymeasure.model.stamps import count_stamps
from llenergymeasure.testing.builders import prepared_inputs, session_facts, trial_job
from llenergymeasure.testing.simulated_backend import SPEC
from llenergymeasure.testing.trial_folders import work
from llenergymeasure.testing.virtual_clock import VirtualClock


class FakeSession:
    """Works on ``concurrency`` requests at a time; such a batch takes the next of ``seconds``, the last one for ever."""

    def __init__(self, clock: VirtualClock, seconds: Sequence[float] = (1.0,), concurrency: int = 2) -> None:
        self.concurrency = concurrency
        self.calls: list[str] = []
        self.ran: list[tuple[Request, ...]] = []
        self.on_batch: Callable[[int], object] = lambda batch: None
        self._clock = clock
        self._seconds = list(seconds)

    def facts(self) -> SessionFacts:
        return session_facts()

    def run(self, requests: Sequence[Request], sink: Sink) -> None:
        self.calls.append("run")
        self.ran.append(tuple(requests))
        for begin in range(0, len(requests), self.concurrency):
            if sink.stopping():
                return
            batch = requests[begin : begin + self.concurrency]
            number = sink.submitted(batch)
            self._clock.sleep(self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0])
            self.on_batch(number)
            for request in batch:
                sink.token(request.sequence)
                sink.finished(Completion(request.sequence, (1,), "length", sink.now_ns()))

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def memory(self) -> DeviceMemory:
        self.calls.append("memory")
        return DeviceMemory(10, 20)

    def close(self) -> None:
        self.calls.append("close")


class FakeBackend:
    """Opens one session."""

    spec = SPEC

    def __init__(self, session: FakeSession) -> None:
        self.session = session

    def open(self, job: TrialJob) -> FakeSession:
        self.session.calls.append("open")
        return self.session


class Worked:
    """A trial worked in a folder: its session and its events."""

    def __init__(self, folder: Path, session: FakeSession) -> None:
        self.folder = folder
        self.session = session
        self.events: list[Event] = list(read_events(folder / "events.jsonl"))

    def all(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type):
        (event,) = self.all(kind)
        return event

    @property
    def marks(self) -> tuple[Mark, ...]:
        return tuple(self.all(Mark))

    def seconds(self, phase) -> float:
        interval = interval_of(self.marks, phase)
        assert interval is not None
        return interval.duration_s


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


_FIXED = WarmupProtocol("fixed", n_warmup=1)


def _protocol(warmup: WarmupProtocol = _FIXED, window: WindowProtocol | None = None, **rests: float) -> Protocol:
    return Protocol(warmup, window or WindowProtocol(min_seconds=0), **rests)


def _work(
    folder: Path,
    session: FakeSession,
    clock: VirtualClock,
    protocol: Protocol | None = None,
    inputs: Inputs | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Worked:
    job = trial_job(protocol=protocol or _protocol(), max_new_tokens=1)
    work(folder, job, inputs, backend=FakeBackend(session), clock=clock, stop=stop)  # type: ignore[arg-type]
    return Worked(folder, session)


# --- the order of things


def test_the_phases_follow_each_other(tmp_path: Path, clock: VirtualClock) -> None:
    """A trial passes through its phases in the order of the protocol, and the window follows the warm-up at once."""
    protocol = _protocol(idle_loaded_seconds=5.0, quiet_seconds=0.5)
    worked = _work(tmp_path, FakeSession(clock), clock, protocol)
    phases = ("load", "idle_loaded", "warmup", "window", "quiet", "close")
    assert [mark.name for mark in worked.marks] == [f"{phase}.{edge}" for phase in phases for edge in ("begin", "end")]
    assert (worked.seconds("idle_loaded"), worked.seconds("quiet")) == (5.0, 0.5)
    times = {mark.name: mark.t_ns for mark in worked.marks}
    assert times["window.begin"] == times["warmup.end"]
    assert worked.one(SessionFacts) == session_facts()
    memory = worked.one(MemoryFacts)
    assert (memory.device_allocated_peak_bytes, memory.device_reserved_peak_bytes) == (10, 20)
    assert memory.process_peak_bytes > 2**20


def test_rests_without_a_length_are_skipped(tmp_path: Path, clock: VirtualClock) -> None:
    """Where no sensor reads nobody waits for one."""
    worked = _work(tmp_path, FakeSession(clock), clock)
    assert {mark.phase for mark in worked.marks} == {"load", "warmup", "window", "close"}


def test_the_session_is_called_in_the_order_of_its_contract(tmp_path: Path, clock: VirtualClock) -> None:
    """The device is synchronised after loading and before both edges of the window, and the session is closed once."""
    worked = _work(tmp_path, FakeSession(clock, concurrency=4), clock)
    assert worked.session.calls == [
        *("open", "synchronize"),
        *("run", "synchronize"),
        *("synchronize", "run", "synchronize"),
        *("memory", "close"),
    ]


def test_requests_are_numbered_through_the_trial(tmp_path: Path, clock: VirtualClock) -> None:
    """Sequences have no gap, rows name the prompts, and a prompt's own limit is its request's."""
    inputs = prepared_inputs((3, 5, 2, 4, 6, 7), n=4, limits=[None, 7, None, None, 3, None])
    worked = _work(tmp_path, FakeSession(clock), clock, inputs=inputs)
    requests = [request for batch in worked.session.ran for request in batch]
    assert [request.sequence for request in requests] == list(range(6))
    assert [request.prompt for request in requests] == [4, 5, 0, 1, 2, 3]
    assert [request.max_new_tokens for request in requests] == [3, 1, 1, 7, 1, 1]
    assert all(sorted(request.input_ids) == list(inputs.ids[request.prompt]) for request in requests[:2])
    assert all(request.input_ids == inputs.ids[request.prompt] for request in requests[2:])


# --- warm-up


def test_warm_up_ends_when_steady(tmp_path: Path, clock: VirtualClock) -> None:
    """Five batches without spread or trend are enough, after the slow ones."""
    session = FakeSession(clock, [9, 4, 2, 1.01, 1.0, 1.01, 0.99, 1.0, 1.0])
    worked = _work(tmp_path, session, clock, _protocol(WarmupProtocol("steady", n_warmup=5)))
    done = worked.one(WarmupDone)
    assert (done.batches, done.steady, done.prompts) == (8, True, "permuted")
    assert done.cv is not None and done.cv < 0.05
    assert [batch.index for batch in worked.all(WarmupBatch)] == list(range(1, 9))
    assert [batch.seconds for batch in worked.all(WarmupBatch)] == pytest.approx([9, 4, 2, 1.01, 1.0, 1.01, 0.99, 1.0])
    assert worked.all(WarmupBatch)[0].output_tokens == 2


def test_warm_up_has_at_least_its_batches(tmp_path: Path, clock: VirtualClock) -> None:
    """Steady from the first on, it goes on to ``n_warmup``."""
    worked = _work(tmp_path, FakeSession(clock), clock, _protocol(WarmupProtocol("steady", n_warmup=7)))
    assert worked.one(WarmupDone).batches == 7


def test_warm_up_ends_at_its_time(tmp_path: Path, clock: VirtualClock) -> None:
    """Never steady, it ends after the batch in which its time ran out, and says so."""
    session = FakeSession(clock, [1.0 + 0.5 * (index % 2) for index in range(100)])
    worked = _work(tmp_path, session, clock, _protocol(WarmupProtocol("steady", n_warmup=2, max_seconds=10.0)))
    done = worked.one(WarmupDone)
    assert (done.batches, done.steady) == (8, False)
    assert done.seconds == worked.seconds("warmup") == 10.0


def test_a_warm_up_cut_before_it_could_be_judged_says_nothing(tmp_path: Path, clock: VirtualClock) -> None:
    """Two long batches have no coefficient of variation."""
    worked = _work(tmp_path, FakeSession(clock, [30]), clock, _protocol(WarmupProtocol("steady", max_seconds=60)))
    done = worked.one(WarmupDone)
    assert (done.batches, done.steady, done.cv) == (2, None, None)


def test_a_fixed_warm_up_has_exactly_its_batches(tmp_path: Path, clock: VirtualClock) -> None:
    """Steady or not, as many as asked for."""
    worked = _work(tmp_path, FakeSession(clock, [3, 2, 1]), clock, _protocol(WarmupProtocol("fixed", n_warmup=3)))
    assert worked.one(WarmupDone).batches == 3


def test_no_warm_up(tmp_path: Path, clock: VirtualClock) -> None:
    """Without one, nothing runs before the window, and that is said."""
    worked = _work(tmp_path, FakeSession(clock), clock, _protocol(WarmupProtocol("none")))
    assert worked.one(WarmupDone) == WarmupDone(0, 0.0, None, None, "none")
    assert "warmup" not in {mark.phase for mark in worked.marks}
    assert len(worked.session.ran) == 1


def test_warm_up_uses_one_batch_of_the_pool_again_and_again(tmp_path: Path, clock: VirtualClock) -> None:
    """Its batches differ by nothing but time; the window's prompts are not seen before the window."""
    inputs = prepared_inputs((2, 2, 3, 2, 1, 2), n=2)
    worked = _work(tmp_path, FakeSession(clock), clock, _protocol(WarmupProtocol("fixed", n_warmup=3)), inputs)
    warmup = [tuple(request.prompt for request in batch) for batch in worked.session.ran[:3]]
    assert warmup == [(3, 5)] * 3
    sent = {tuple(sorted(request.input_ids)) for batch in worked.session.ran[:3] for request in batch}
    assert sent == {inputs.ids[3], inputs.ids[5]}
    assert worked.one(WarmupDone).prompts == "pool"


def test_without_a_pool_warm_up_permutes_the_windows_prompts(tmp_path: Path, clock: VirtualClock) -> None:
    """The same lengths and ids in another order, and the same order for the same seed."""
    inputs = prepared_inputs((30, 40, 5), n=2)
    ran = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        session = FakeSession(clock)
        assert _work(tmp_path / name, session, clock, inputs=inputs).one(WarmupDone).prompts == "permuted"
        ran.append([request.input_ids for request in session.ran[0]])
    assert ran[0] == ran[1]
    assert all(sorted(ids) == sorted(own) and ids != own for ids, own in zip(ran[0], inputs.window, strict=True))


@pytest.mark.parametrize(("concurrency", "size"), [(2, 2), (3, 3), (64, 4)])
def test_a_warm_up_batch_is_one_full_batch(tmp_path: Path, clock: VirtualClock, concurrency: int, size: int) -> None:
    """It has the engine's concurrency, and never more than the window has prompts."""
    worked = _work(tmp_path, FakeSession(clock, concurrency=concurrency), clock)
    assert len(worked.session.ran[0]) == size


# --- the window


def test_whole_passes_until_the_window_is_long_enough(tmp_path: Path, clock: VirtualClock) -> None:
    """A pass of 2 s fills 5 s after three."""
    worked = _work(tmp_path, FakeSession(clock), clock, _protocol(window=WindowProtocol(min_seconds=5)))
    assert worked.one(WindowDone) == WindowDone(3, False, "length")
    assert worked.seconds("window") == 6.0
    done = worked.all(RequestDone)
    assert [event.prompt for event in done] == [0, 1, 2, 3] * 3
    assert [event.completion.sequence for event in done] == list(range(2, 14))
    assert sum(len(event.sequences) for event in worked.all(Submission)) == 12


def test_the_longest_window_cuts_a_pass(tmp_path: Path, clock: VirtualClock) -> None:
    """No batch begins after ``max_seconds``: the pass is cut, and the cut is said."""
    worked = _work(
        tmp_path, FakeSession(clock, [1.0, 2.0]), clock, _protocol(window=WindowProtocol(min_seconds=5, max_seconds=5))
    )
    assert worked.one(WindowDone) == WindowDone(1, True, "max_seconds")
    assert worked.seconds("window") == 6.0
    assert len(worked.all(RequestDone)) == 6


def test_the_longest_window_may_be_reached_between_passes(tmp_path: Path, clock: VirtualClock) -> None:
    """Passes that are whole when the time is over are not called cut, nor long enough."""
    window = WindowProtocol(min_seconds=10, max_seconds=4)
    worked = _work(tmp_path, FakeSession(clock), clock, _protocol(window=window))
    assert worked.one(WindowDone) == WindowDone(2, False, "max_seconds")


def test_the_limit_of_the_window_is_not_the_warm_ups(tmp_path: Path, clock: VirtualClock) -> None:
    """Loading and warming up take none of the window's time."""
    session = FakeSession(clock, [50.0, 1.0])
    worked = _work(tmp_path, session, clock, _protocol(window=WindowProtocol(min_seconds=2, max_seconds=20)))
    assert worked.one(WindowDone) == WindowDone(1, False, "length")


def test_a_signal_in_the_window_finishes_the_batch_and_closes(tmp_path: Path, clock: VirtualClock) -> None:
    """Asked to stop in the second pass: the batch ends, nothing more begins, and the trial comes to its end."""
    session = FakeSession(clock)
    asked = []
    session.on_batch = lambda batch: asked.append(batch) if batch == 3 else None
    worked = _work(
        tmp_path,
        session,
        clock,
        _protocol(window=WindowProtocol(min_seconds=100), quiet_seconds=1),
        stop=lambda: bool(asked),
    )
    assert worked.one(WindowDone) == WindowDone(1, True, "signal")
    assert len(worked.all(RequestDone)) == 6
    assert worked.marks[-1].name == "close.end"
    assert session.calls[-1] == "close"


def test_a_signal_in_the_warm_up_leaves_an_empty_window(tmp_path: Path, clock: VirtualClock) -> None:
    """The worker still closes cleanly; that nothing was measured can be seen."""
    session = FakeSession(clock)
    asked = []
    session.on_batch = asked.append
    worked = _work(tmp_path, session, clock, _protocol(WarmupProtocol("steady")), stop=lambda: bool(asked))
    assert worked.one(WarmupDone).batches == 1
    assert worked.one(WindowDone) == WindowDone(0, True, "signal")
    assert worked.all(RequestDone) == []
    assert session.calls[-1] == "close"


def test_nothing_is_written_inside_the_window(tmp_path: Path, clock: VirtualClock) -> None:
    """From one edge to the other the events file does not grow, while stamps can be seen from outside."""
    session = FakeSession(clock)
    sizes, stamps = [], []

    def look(batch: int) -> None:
        if batch > 0:  # the first is the warm-up's
            sizes.append((tmp_path / "events.jsonl").stat().st_size)
            stamps.append(count_stamps(tmp_path / "stamps.bin"))

    session.on_batch = look
    worked = _work(tmp_path, session, clock, _protocol(window=WindowProtocol(min_seconds=6)))
    assert len(sizes) == 6 and len(set(sizes)) == 1
    assert stamps == [2, 4, 6, 8, 10, 12]
    before = (tmp_path / "events.jsonl").read_bytes()[: sizes[0]].decode()
    assert before.endswith('"measuring","fraction":null}\n')
    assert worked.marks[-4].name == "window.begin"


# --- failures


@pytest.mark.parametrize("error", [BackendError("broken"), MemoryError("full"), KeyError("bug")], ids=repr)
@pytest.mark.parametrize(("batch", "last"), [(0, "warmup.begin"), (2, "window.begin")])
def test_a_session_that_fails_is_closed(
    tmp_path: Path, clock: VirtualClock, error: Exception, batch: int, last: str
) -> None:
    """The error leaves as it is, the session is closed once, and the last mark says where it failed."""
    session = FakeSession(clock)

    def break_down(number: int) -> None:
        if number == batch:
            raise error

    session.on_batch = break_down
    with pytest.raises(type(error)) as caught:
        _work(tmp_path, session, clock)
    assert caught.value is error
    worked = Worked(tmp_path, session)
    assert session.calls.count("close") == 1 and session.calls[-1] == "close"
    assert worked.marks[-1].name == last
    assert worked.all(RequestDone) == []


def test_a_device_that_fails_after_loading_is_closed(tmp_path: Path, clock: VirtualClock) -> None:
    """Synchronising is the first that may fail; the session is closed all the same."""
    session = FakeSession(clock)

    def synchronize() -> None:
        raise BackendError("the device is lost")

    session.synchronize = synchronize  # type: ignore[method-assign]
    with pytest.raises(BackendError, match="the device is lost"):
        _work(tmp_path, session, clock)
    assert session.calls == ["open", "close"]
    assert Worked(tmp_path, session).marks[-1].name == "load.begin"


def test_a_session_that_cannot_be_closed_either_does_not_hide_the_first_error(
    tmp_path: Path, clock: VirtualClock
) -> None:
    """What went wrong first is what is reported."""
    session = FakeSession(clock)

    def close() -> None:
        raise BackendError("cannot be closed")

    def break_down(number: int) -> None:
        raise MemoryError("full")

    session.close, session.on_batch = close, break_down  # type: ignore[method-assign]
    with pytest.raises(MemoryError, match="full"):
        _work(tmp_path, session, clock)


def test_a_session_that_cannot_be_closed_fails_its_trial(tmp_path: Path, clock: VirtualClock) -> None:
    """An accelerator that is not left as it was found is a failure, without the last mark."""
    session = FakeSession(clock)

    def close() -> None:
        raise BackendError("cannot be closed")

    session.close = close  # type: ignore[method-assign]
    with pytest.raises(BackendError, match="cannot be closed"):
        _work(tmp_path, session, clock)
    assert Worked(tmp_path, session).marks[-1].name == "close.begin"


def test_a_model_that_does_not_open_leaves_nothing_to_close(tmp_path: Path, clock: VirtualClock) -> None:
    """An error of ``open`` leaves as it is."""
    session = FakeSession(clock)

    class Broken(FakeBackend):
        def open(self, job: TrialJob) -> FakeSession:
            raise BackendError("no such model")

    with pytest.raises(BackendError, match="no such model"):
        work(tmp_path, backend=Broken(session), clock=clock)  # type: ignore[arg-type]
    worked = Worked(tmp_path, session)
    assert session.calls == []
    assert worked.one(Progress).message == "loading m"
    assert worked.marks[-1].name == "load.begin"


def test_inputs_without_a_prompt_are_refused(tmp_path: Path, clock: VirtualClock) -> None:
    """A window over nothing would never end."""
    with pytest.raises(LLEMError, match="hold no prompt"):
        _work(tmp_path, FakeSession(clock), clock, inputs=prepared_inputs(()))


# --- a cold start


def _cold(folder: Path, session: FakeSession, clock: VirtualClock) -> Worked:
    job = trial_job(protocol=_protocol(quiet_seconds=0.5), max_new_tokens=1, cold_start=True)
    work(folder, job, prepared_inputs(), backend=SlowToOpen(session, clock), clock=clock)  # type: ignore[arg-type]
    return Worked(folder, session)


class SlowToOpen(FakeBackend):
    """Takes four seconds to load."""

    def __init__(self, session: FakeSession, clock: VirtualClock) -> None:
        super().__init__(session)
        self._clock = clock

    def open(self, job: TrialJob) -> FakeSession:
        self._clock.sleep(4.0)
        return super().open(job)


def test_a_cold_start_holds_loading_and_one_request(tmp_path: Path, clock: VirtualClock) -> None:
    """The window opens before the model is loaded and closes after the first request; nothing is warmed up."""
    worked = _cold(tmp_path, FakeSession(clock, seconds=(1.5,)), clock)
    assert worked.seconds("window") == 5.5
    assert worked.seconds("load") == 4.0
    assert [mark.name for mark in worked.marks][:4] == ["window.begin", "load.begin", "load.end", "window.end"]
    assert not any(mark.phase in ("warmup", "idle_loaded") for mark in worked.marks)
    assert [len(batch) for batch in worked.session.ran] == [1]
    assert len(worked.all(RequestDone)) == 1
    assert worked.one(WindowDone).stopped_by == "first_request"
    assert worked.one(WarmupDone).batches == 0
    assert worked.seconds("quiet") == 0.5


def test_a_warm_up_waits_for_power_where_it_is_read(tmp_path: Path, clock: VirtualClock) -> None:
    """Batches are steady from the fifth on; power is so from the eighth, and the last trend is kept."""
    trends = [None] * 5 + [PowerTrend(0.05, 0.0), PowerTrend(0.02, 0.0), PowerTrend(0.001, 0.1)]
    protocol = _protocol(WarmupProtocol("steady", n_warmup=2, power_drift=0.005), WindowProtocol(min_seconds=10.0))
    job = trial_job(protocol=protocol, max_new_tokens=1)
    session = FakeSession(clock)
    work(tmp_path, job, backend=FakeBackend(session), clock=clock, power=lambda: trends.pop(0))  # type: ignore[arg-type]
    done = Worked(tmp_path, session).one(WarmupDone)
    assert (done.batches, done.steady, done.power) == (8, True, PowerTrend(0.001, 0.1))
