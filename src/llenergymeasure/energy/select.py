"""Which energy sources are read here: every known one is tried, and each gets a verdict with its reason."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llenergymeasure import plugins
from llenergymeasure.energy.contract import EnergySource, OpenSource, Surroundings, Unavailable
from llenergymeasure.energy.guarded import Guarded, open_guarded
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.model.reading import ENERGY_KINDS, Channel, ChannelKind, SourceVerdict, Status

AUTO, NONE = "auto", "none"

# A read may fail now and then on a board that works.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Reads:
    """An open source and the channels to read of it."""

    source: EnergySource
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The verdict on every known source, and what to read. Channel ids are unique and count from 0."""

    verdicts: tuple[SourceVerdict, ...]
    reads: tuple[Reads, ...]

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(channel for read in self.reads for channel in read.channels)

    def verdicts_now(self) -> tuple[SourceVerdict, ...]:
        """The verdicts, with what came to light about sources while they were read."""
        broken = {
            read.source.name: read.source.broken
            for read in self.reads
            if isinstance(read.source, Guarded) and read.source.broken
        }
        return tuple(
            dataclasses.replace(verdict, usable=False, reason=broken[verdict.source])
            if verdict.source in broken
            else verdict
            for verdict in self.verdicts
        )

    def close(self) -> None:
        """Close the sources that were kept open."""
        for read in self.reads:
            read.source.close()


@dataclass(frozen=True, slots=True)
class _Tried:
    """A source after its first reads: what it reads well, or why it cannot be used."""

    name: str
    source: EnergySource | None
    channels: tuple[Channel, ...]
    why_not: Unavailable | None = None


def load_source(name: str) -> OpenSource:
    """The entry point of a source by name. Raises ``LLEMError``."""
    found: OpenSource = plugins.load("energy", name)
    return found


_IN_WORDS: dict[ChannelKind, str] = {
    "counter": "energy counter",
    "power_instant": "instant power",
    "power_mean": "mean power",
    "model": "estimated from CPU time",
    "witness": "witness of the whole trial",
}
# What a source must read at least one of.
_WORTH_READING: tuple[ChannelKind, ...] = (*ENERGY_KINDS, "witness")


def select(
    wish: Sequence[str],
    around: Surroundings,
    *,
    known: Sequence[str] | None = None,
    load: Callable[[str], OpenSource] = load_source,
) -> Selection:
    """Try the sources and keep what ``wish`` asks for: ``("auto",)``, ``("none",)`` or names.

    ``auto`` takes, for each domain of each device, the best channel kind that reads well now, so that a model stands in only
    where nothing is metered. Raises ``EnergyError`` when a source that was named cannot be used. ``known`` are the names to
    try, those of the plug-in table when it is not given.
    """
    if NONE in wish and len(wish) > 1:
        raise EnergyError(
            "the energy source 'none' cannot be combined with others", hint="name none alone, or the others"
        )
    named = [name for name in wish if name not in (AUTO, NONE)]
    known = plugins.names("energy") if known is None else known
    tried = [
        _try(name, dataclasses.replace(around, asked_for=name in named), load)
        for name in dict.fromkeys((*known, *named))
    ]
    try:
        kept = _best_of(tried) if AUTO in wish else {}
        kept |= {one.name: _named(one) for one in tried if one.name in named}
    except EnergyError:
        _close(tried)
        raise
    _close([one for one in tried if one.name not in kept])
    verdicts = [_verdict(one, kept.get(one.name, ()), AUTO in wish) for one in tried]
    if NONE in wish:
        verdicts.append(SourceVerdict(NONE, True, "asked for: no energy is read", chosen=True))
    return Selection(tuple(verdicts), _numbered(tried, kept))


def verdicts(wish: Sequence[str], around: Surroundings) -> tuple[SourceVerdict, ...]:
    """What ``select`` would choose, with nothing left open. Raises ``EnergyError`` as it does."""
    selection = select(wish, around)
    selection.close()
    return selection.verdicts


def _close(tried: Sequence[_Tried]) -> None:
    for one in tried:
        if one.source is not None:
            one.source.close()


def _try(name: str, around: Surroundings, load: Callable[[str], OpenSource]) -> _Tried:
    try:
        source = open_guarded(name, load(name), around)
    except LLEMError as error:
        return _Tried(name, None, (), Unavailable(str(error), error.hint))
    found = source.channels()
    if isinstance(found, Unavailable):
        return _Tried(name, source, (), found)
    well = _that_read_well(source, found)
    if not any(channel.kind in _WORTH_READING for channel in well):
        return _Tried(name, source, (), Unavailable("it is here, but its energy and power cannot be read now"))
    return _Tried(name, source, well)


def _that_read_well(source: EnergySource, channels: Sequence[Channel]) -> tuple[Channel, ...]:
    good: set[int] = set()
    for _ in range(_TRIES):
        left = [channel for channel in channels if channel.id not in good]
        good |= {reading.channel for reading in source.read(left) if reading.status is Status.OK}
    return tuple(channel for channel in channels if channel.id in good)


def _best_of(tried: Sequence[_Tried]) -> dict[str, tuple[Channel, ...]]:
    """For each domain of each device the source with the best kind, the first of equals; with all its channels there."""
    winner: dict[tuple[str, str], tuple[int, str]] = {}
    for one in tried:
        for channel in one.channels:
            if channel.kind in ENERGY_KINDS:
                candidate = (ENERGY_KINDS.index(channel.kind), one.name)
                place = (channel.device, channel.domain)
                if place not in winner or candidate[0] < winner[place][0]:
                    winner[place] = candidate
    return {
        one.name: tuple(
            channel
            for channel in one.channels
            if winner.get((channel.device, channel.domain), (0, one.name))[1] == one.name
        )
        for one in tried
        if any(name == one.name for _, name in winner.values())
    }


def _named(one: _Tried) -> tuple[Channel, ...]:
    if one.why_not is not None:
        raise EnergyError(
            f"the energy source {one.name!r} cannot be used here: {one.why_not.reason}",
            hint=one.why_not.remedy or "use another source, or auto",
        )
    return one.channels


def _verdict(one: _Tried, kept: tuple[Channel, ...], auto: bool) -> SourceVerdict:
    if one.why_not is not None:
        return SourceVerdict(one.name, False, str(one.why_not))
    if kept:
        return SourceVerdict(one.name, True, _described(kept), chosen=True)
    return SourceVerdict(one.name, True, "a better source covers its devices" if auto else "not asked for")


def _described(channels: tuple[Channel, ...]) -> str:
    """``2 × NVIDIA H100 (gpu): energy counter, instant power``."""
    devices = {(channel.device, channel.domain): channel.device_name for channel in channels}
    names = Counter((name, domain) for (_, domain), name in devices.items())
    kinds = dict.fromkeys(_IN_WORDS[channel.kind] for channel in channels if channel.kind in _WORTH_READING)
    what = ", ".join(
        f"{f'{count} × ' if count > 1 else ''}{name} ({domain})" for (name, domain), count in names.items()
    )
    return f"{what}: {', '.join(kinds)}"


def _numbered(tried: Sequence[_Tried], kept: dict[str, tuple[Channel, ...]]) -> tuple[Reads, ...]:
    reads, first = [], 0
    for one in tried:
        channels = kept.get(one.name, ())
        if one.source is not None and channels:
            numbered = (dataclasses.replace(channel, id=first + place) for place, channel in enumerate(channels))
            reads.append(Reads(one.source, tuple(numbered)))
            first += len(channels)
    return tuple(reads)
