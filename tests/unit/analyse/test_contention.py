"""Whether the devices that worked were the trial's alone, and from what that is concluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from llenergymeasure.analyse.contention import contention
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, ChannelKind, Reading
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.contention import DeviceContention
from llenergymeasure.testing.builders import marks, session_facts, trace
from llenergymeasure.units import NS_PER_S, s_to_ns

_WINDOW = Interval(20 * NS_PER_S, 30 * NS_PER_S)
_MARKS = marks(("idle", 0, 5), ("load", 6, 10), ("idle_loaded", 10, 15), ("warmup", 15, 20), ("window", 20, 30))
_MIB = 2**20

Pairs = Sequence[tuple[float, float]]
# Once a second over the whole trial.
_SECONDS = tuple(second + 0.5 for second in range(-1, 32))


def _always(value: float) -> Pairs:
    return [(second, value) for second in _SECONDS]


def _from(begin_s: float, value: float) -> Pairs:
    return [(second, value if second >= begin_s else 0.0) for second in _SECONDS]


def _rising(per_s: float) -> Pairs:
    return [(second, per_s * (second + 1)) for second in _SECONDS]


_NOBODYS: tuple[str, ChannelKind, str, Pairs] = ("GPU-1", "foreign_memory", "", _always(0))


def _trace(used: tuple[str, ...], *series: tuple[str, ChannelKind, str, Pairs]) -> Trace:
    channels, readings = [], []
    for number, (device, kind, detail, pairs) in enumerate(series):
        channels.append(Channel(number, "s", "gpu", device, device, kind, "", 1.0, detail=detail))
        readings += [Reading(s_to_ns(max(second, 0.0)), 0, number, value) for second, value in pairs]
    return trace(
        (),
        sorted(readings, key=lambda reading: reading.t_ns),
        marks=_MARKS,
        channels=tuple(channels),
        session=session_facts(device_ids=used, device="cuda"),
    )


def _gpu(own: Pairs, foreign: Pairs, *more: tuple[str, ChannelKind, str, Pairs]) -> Trace:
    """No memory of others, unless ``more`` says what is read of it."""
    listed: tuple[tuple[str, ChannelKind, str, Pairs], ...] = (
        ("GPU-1", "processes", "own", own),
        ("GPU-1", "processes", "foreign", foreign),
    )
    held = [] if any(kind == "foreign_memory" for _, kind, _, _ in more) else [_NOBODYS]
    return _trace(("GPU-1",), *listed, *held, *more)


def _cpu(busy: float, worker: float, *, meter: float = 0.01, stolen: float = 0.0, cpus: int = 2) -> Trace:
    """Seconds of CPU a second, on two CPUs."""
    parts = {"busy": busy, "worker": worker, "meter": meter, "stolen": stolen, "idle": cpus - busy - stolen}
    return _trace(("cpu",), *(("cpu", "cpu_time", part, _rising(value)) for part, value in parts.items()))


def _only(found: Trace) -> DeviceContention:
    whole = contention(found, _WINDOW)
    (device,) = whole.devices
    assert whole.verdict == device.verdict and device.evidence
    return device


def test_a_board_on_which_only_ours_was_seen_is_exclusive() -> None:
    """Our process is listed in the window, no other ever, and no memory of others."""
    found = _only(_gpu(_from(7, 1), _always(0), ("GPU-1", "foreign_memory", "", _always(40 * _MIB))))
    assert found.verdict == "exclusive"


@pytest.mark.parametrize("begin_s", [-1, 12, 25])
def test_a_process_of_others_at_any_time_is_shared(begin_s: float) -> None:
    """At the first idle, while the model is loaded, or in the window."""
    found = _only(_gpu(_from(7, 1), _from(begin_s, 2)))
    assert found.verdict == "shared" and "processes of others, up to 2 at a time" in found.evidence[0]


def test_others_after_the_window_do_not_count() -> None:
    """They changed nothing that was measured."""
    assert _only(_gpu(_from(7, 1), _from(30.4, 1))).verdict == "exclusive"


def test_memory_of_others_is_shared() -> None:
    """Somebody whom the driver does not list holds more than a context needs."""
    found = _only(_gpu(_from(7, 1), _always(0), ("GPU-1", "foreign_memory", "", _always(301 * _MIB))))
    assert found.verdict == "shared" and found.evidence == ("301 MiB of memory are not ours",)


def test_memory_is_nobodys_while_ours_is_not_listed() -> None:
    """While the model loads, and where a container hides our process, memory in use may be our own."""
    held = ("GPU-1", "foreign_memory", "", _from(6.2, 5000 * _MIB))
    assert _only(_gpu(_always(0), _always(0), held)).verdict == "unknown"
    before = ("GPU-1", "foreign_memory", "", _always(5000 * _MIB))
    assert _only(_gpu(_always(0), _always(0), before)).verdict == "shared"


def test_utilisation_while_nothing_of_ours_is_there_is_shared() -> None:
    """What the first second of the idle says may be of the time before it."""
    busy = [(0.5, 90.0), (3.5, 40.0), (25.0, 100.0)]
    found = _only(_gpu(_from(7, 1), _always(0), ("GPU-1", "utilisation", "", busy)))
    assert found.verdict == "shared" and found.evidence == ("40 % utilisation while nothing of ours was there",)
    late = ("GPU-1", "utilisation", "", [(0.5, 90.0), (25.0, 100.0)])
    assert _only(_gpu(_from(7, 1), _always(0), late)).verdict == "exclusive"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (_trace(("GPU-1",)), "no channel reads which processes use it"),
        (_gpu(_always(0), _always(0)), "hides processes from a container"),
        (_gpu([(3.5, 0.0)], [(3.5, 0.0)]), "could not be told apart in the window"),
        (
            _gpu(_from(7, 1), _always(0), ("GPU-1", "foreign_memory", "", [])),
            "whose memory is in use could not be told",
        ),
        (_trace(("cpu",)), "no meter read the load of the machine"),
        (_trace(("cpu",), ("cpu", "cpu_time", "busy", [(21.0, 1.0)])), "do not cover the window"),
    ],
    ids=["no channel", "not listed", "no reading", "no memory", "no meter", "no cover"],
)
def test_what_is_not_known_is_not_called_exclusive(found: Trace, words: str) -> None:
    """The reason stands beside it."""
    device = _only(found)
    assert device.verdict == "unknown" and words in device.evidence[0]


def test_a_quiet_machine_is_exclusive() -> None:
    """Two CPUs at work for us, a little for the system."""
    assert _only(_cpu(1.95, 1.9)).verdict == "exclusive"
    assert _only(_cpu(0.05, 0.0)).verdict == "exclusive"


def test_other_load_on_the_cpus_is_shared() -> None:
    """More than a twentieth of their time is neither the work's nor the meter's."""
    found = _only(_cpu(1.95, 1.0))
    assert found.verdict == "shared" and "other processes took 47 % of the CPUs in the window" in found.evidence


def test_time_that_the_hypervisor_takes_is_shared() -> None:
    """In a virtual machine others do not show as processes."""
    found = _only(_cpu(1.0, 0.99, stolen=0.4))
    assert found.verdict == "shared" and "the hypervisor took 20 % of the CPUs in the window" in found.evidence


def test_a_system_that_does_not_count_everybody_says_nothing() -> None:
    """A sandbox shows no time but what it gives to nobody."""
    assert _only(_cpu(0.0, 1.0, cpus=0)).verdict == "unknown"
    assert _only(_cpu(0.1, 1.0)).verdict == "unknown"


def test_the_worst_of_several_devices_is_the_trials() -> None:
    """One shared board makes the figure one of a shared board; one unknown is enough for not exclusive."""
    good = _gpu(_from(7, 1), _always(0))
    found = contention(_with_devices(good, "GPU-1", "GPU-2"), _WINDOW)
    assert [device.verdict for device in found.devices] == ["exclusive", "unknown"] and found.verdict == "unknown"
    bad = _gpu(_from(7, 1), _always(1))
    assert contention(_with_devices(bad, "GPU-2", "GPU-1"), _WINDOW).verdict == "shared"
    assert contention(_with_devices(good), _WINDOW).verdict == "unknown"


def _with_devices(found: Trace, *used: str) -> Trace:
    session = replace(found.head.session, device_ids=used)
    return replace(found, head=replace(found.head, session=session))
