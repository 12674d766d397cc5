"""Which sources are chosen, and what is said of the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from llenergymeasure.energy.contract import EnergySource, OpenSource, Surroundings, Unavailable
from llenergymeasure.energy.select import Selection, select
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.model.reading import Channel, ChannelKind, CpuPowerModel, Domain, Reading, SourceVerdict, Status
from llenergymeasure.testing.virtual_clock import VirtualClock

_AROUND = Surroundings(VirtualClock(), "some CPU", 2)
_NOW_NS = _AROUND.clock.now_ns()
_MODEL = CpuPowerModel(2, (1.0, 2.0), (0.1, 0.3), (0.5, 1.0), "made up")


class FakeSource:
    """A source with the channels or the reason that a test gives; the first ``bad`` reads of a channel fail."""

    def __init__(self, found: Sequence[Channel] | Unavailable, bad: int = 0) -> None:
        self.found = found
        self.bad = bad
        self.closed = 0

    def channels(self) -> Sequence[Channel] | Unavailable:
        return self.found

    def read(self, channels: Sequence[Channel]) -> Sequence[Reading]:
        self.bad -= 1
        if self.bad >= 0:
            return [Reading(_NOW_NS, 0, channel.id, math.nan, Status.FAILED) for channel in channels]
        return [Reading(_NOW_NS, 0, channel.id, 1.0) for channel in channels]

    def close(self) -> None:
        self.closed += 1


def _channel(source: str, number: int, kind: ChannelKind, device: str = "GPU-1", domain: Domain = "gpu") -> Channel:
    model = _MODEL if kind == "model" else None
    return Channel(number, source, domain, device, f"name of {device}", kind, "J", 10.0, cpu_power_model=model)


def _estimate() -> FakeSource:
    return FakeSource([_channel("estimate", 0, "model", "cpu", "package")])


def _loader(sources: dict[str, FakeSource]) -> Callable[[str], OpenSource]:
    def load(name: str) -> OpenSource:
        if name not in sources:
            raise LLEMError(f"{name!r} is not known", hint="known: others")

        def open_source(around: Surroundings) -> EnergySource:
            return sources[name]

        return open_source

    return load


def _select(wish: Sequence[str], **sources: FakeSource) -> Selection:
    return select(wish, _AROUND, known=tuple(sources), load=_loader(sources))


def _verdict(selection: Selection, source: str) -> SourceVerdict:
    (found,) = (verdict for verdict in selection.verdicts if verdict.source == source)
    return found


def test_auto_takes_the_model_only_where_nothing_is_metered() -> None:
    """A GPU's counter and the model of the CPUs are read side by side: they are different devices."""
    nvml = FakeSource([_channel("nvml", 0, "counter"), _channel("nvml", 1, "power_instant")])
    selection = _select(("auto",), nvml=nvml, estimate=_estimate())
    assert [channel.source for channel in selection.channels] == ["nvml", "nvml", "estimate"]
    assert all(verdict.chosen for verdict in selection.verdicts)


def test_auto_leaves_the_model_out_where_the_cpus_are_metered() -> None:
    """A counter of the package makes the estimate of the package superfluous."""
    rapl = FakeSource([_channel("rapl", 0, "counter", "cpu", "package")])
    estimate = _estimate()
    selection = _select(("auto",), rapl=rapl, estimate=estimate)
    assert [channel.source for channel in selection.channels] == ["rapl"]
    assert _verdict(selection, "estimate") == SourceVerdict("estimate", True, "a better source covers its devices")
    assert (rapl.closed, estimate.closed) == (0, 1)


def test_auto_takes_the_better_kind_whatever_the_order() -> None:
    """A counter beats instant power, which beats a mean; among equals the first source stands."""
    mean = FakeSource([_channel("a", 0, "power_mean")])
    counter = FakeSource([_channel("b", 0, "counter")])
    second = FakeSource([_channel("c", 0, "counter")])
    selection = _select(("auto",), a=mean, b=counter, c=second)
    assert [channel.source for channel in selection.channels] == ["b"]


def test_auto_decides_for_each_domain_of_each_device() -> None:
    """A source that wins one of its two domains is read for that one only, with what it says of it beside energy."""
    both = FakeSource(
        [
            _channel("a", 0, "power_instant"),
            _channel("a", 1, "temperature"),
            _channel("a", 2, "counter", "cpu", "package"),
        ]
    )
    gpu = FakeSource([_channel("b", 0, "counter"), _channel("b", 1, "temperature")])
    selection = _select(("auto",), a=both, b=gpu)
    assert [(channel.source, channel.device, channel.kind) for channel in selection.channels] == [
        ("a", "cpu", "counter"),
        ("b", "GPU-1", "counter"),
        ("b", "GPU-1", "temperature"),
    ]


def test_ids_are_unique_over_all_sources() -> None:
    """Channels are numbered anew from 0 in the order in which they are read."""
    nvml = FakeSource([_channel("nvml", 0, "counter"), _channel("nvml", 1, "temperature")])
    selection = _select(("auto",), nvml=nvml, estimate=_estimate())
    assert [channel.id for channel in selection.channels] == [0, 1, 2]


def test_a_source_that_is_here_and_does_not_read_is_skipped() -> None:
    """Channels whose first reads all fail are no reason to choose a source."""
    dead = FakeSource([_channel("nvml", 0, "counter")], bad=99)
    selection = _select(("auto",), nvml=dead, estimate=_estimate())
    assert [channel.source for channel in selection.channels] == ["estimate"]
    assert not _verdict(selection, "nvml").usable
    assert "cannot be read now" in _verdict(selection, "nvml").reason
    assert dead.closed == 1


def test_one_failed_read_does_not_cost_a_channel() -> None:
    """Drivers stumble now and then; a channel that reads at the second try is read."""
    selection = _select(("auto",), nvml=FakeSource([_channel("nvml", 0, "counter")], bad=1))
    assert len(selection.channels) == 1


def test_an_unavailable_source_is_reported_with_its_reason_and_remedy() -> None:
    """The verdict is what a person needs to mend it."""
    selection = _select(("auto",), nvml=FakeSource(Unavailable("no driver", "install it")))
    assert selection.verdicts == (SourceVerdict("nvml", False, "no driver (install it)"),)
    assert selection.reads == ()


def test_a_source_that_was_named_and_cannot_be_used_is_an_error() -> None:
    """Nobody's explicit wish is silently replaced; all that was opened is closed."""
    nvml, estimate = FakeSource(Unavailable("no driver", "install it")), _estimate()
    with pytest.raises(EnergyError, match="'nvml' cannot be used here: no driver") as caught:
        _select(("nvml",), nvml=nvml, estimate=estimate)
    assert caught.value.hint == "install it"
    assert (nvml.closed, estimate.closed) == (1, 1)


def test_a_name_that_nobody_knows_is_an_error() -> None:
    """A misspelt source says what is known."""
    with pytest.raises(EnergyError, match="'nvlm'") as caught:
        _select(("nvlm",), estimate=_estimate())
    assert caught.value.hint == "known: others"


def test_only_what_was_named_is_read() -> None:
    """With names, no better source takes over, and the others' verdicts say that nobody asked."""
    nvml = FakeSource([_channel("nvml", 0, "counter")])
    selection = _select(("estimate",), nvml=nvml, estimate=_estimate())
    assert [channel.source for channel in selection.channels] == ["estimate"]
    assert _verdict(selection, "nvml") == SourceVerdict("nvml", True, "not asked for")
    assert nvml.closed == 1


def test_two_named_sources_of_one_device_are_both_read() -> None:
    """That is how a cross-check is asked for."""
    a, b = FakeSource([_channel("a", 0, "counter")]), FakeSource([_channel("b", 0, "counter")])
    assert [channel.source for channel in _select(("a", "b"), a=a, b=b).channels] == ["a", "b"]


def test_none_reads_nothing_and_says_that_it_was_asked_for() -> None:
    """Energy is null on purpose."""
    estimate = _estimate()
    selection = _select(("none",), estimate=estimate)
    assert selection.reads == ()
    assert _verdict(selection, "none").chosen
    assert estimate.closed == 1


def test_none_beside_a_source_is_refused() -> None:
    """The wish contradicts itself."""
    with pytest.raises(EnergyError, match="cannot be combined"):
        _select(("none", "estimate"), estimate=_estimate())


def test_the_verdict_of_a_chosen_source_says_what_it_reads() -> None:
    """Devices by name and number, and the kinds of energy, best first."""
    nvml = FakeSource(
        [
            _channel("nvml", 0, "counter", "GPU-1"),
            _channel("nvml", 1, "power_instant", "GPU-1"),
            _channel("nvml", 2, "temperature", "GPU-1"),
        ]
    )
    assert (
        _verdict(_select(("auto",), nvml=nvml), "nvml").reason == "name of GPU-1 (gpu): energy counter, instant power"
    )


def test_closing_a_selection_closes_what_it_kept() -> None:
    """Each chosen source is closed once."""
    estimate = _estimate()
    selection = _select(("auto",), estimate=estimate)
    assert estimate.closed == 0
    selection.close()
    assert estimate.closed == 1


def test_the_simulation_is_read_only_by_its_name() -> None:
    """The real table never offers it to ``auto``, and finds it when it is named."""
    around = Surroundings(VirtualClock(), "some CPU", 2)
    automatic, named = select(("auto",), around), select(("simulated",), around)
    automatic.close()
    named.close()
    assert "simulated" not in {verdict.source for verdict in automatic.verdicts}
    assert {channel.source for channel in named.channels} == {"simulated"}
