"""From what a study holds fixed and what it varies to its experiments. Deterministic; keeps the written order.

A grid of 100,000 points is judged without making 100,000 configurations: each field is validated once for each of its values,
and a configuration is built when it is asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llenergymeasure.config.axes import Varying, axes_for, backends_of
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.grid import Grid, Identity
from llenergymeasure.config.lazy import Lazy
from llenergymeasure.config.nested import value_at
from llenergymeasure.config.problems import Problem, dotted, short
from llenergymeasure.config.sources import Listed, Ready, Source, of_backend
from llenergymeasure.config.where import Filter, parse_filter
from llenergymeasure.config.yaml_strict import leaves
from llenergymeasure.errors import ConfigError

# More experiments than anybody runs; and values in all of them together, which bounds time and memory.
_MOST_POINTS = 100_000
_MOST_VALUES = 20_000_000
# Configurations that are kept once they are built.
_KEPT = 2048
_NOT_SET = object()


@dataclass(frozen=True, slots=True)
class Point:
    """One valid experiment of a study; ``varied`` holds what is its own, by dotted key.

    ``hash_as_written`` is its ``measurement_config_hash`` if the backend is written and its data are no file.
    """

    config: ExperimentConfig
    varied: Mapping[str, Any]
    hash_as_written: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A point that is not valid and will not run."""

    varied: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """The points of a study, and what became of the others.

    ``merged`` counts points that were equal to an earlier one, ``filtered`` those that each filter left out: they are no
    outcome of the study, nobody wanted them. ``notices`` are sentences for the user, each to be said once.
    ``first_problems`` are those of the first point that is not valid.
    """

    points: Sequence[Point]
    skipped: Sequence[Skipped]
    merged: int
    filtered: Mapping[str, int]
    notices: tuple[str, ...]
    first_problems: tuple[Problem, ...]


def expand(
    fixed: Mapping[str, Any],
    backends: Sequence[str],
    varying: Varying,
    explicit: Sequence[Mapping[str, Any]] = (),
    ready: Sequence[ExperimentConfig] = (),
) -> Expansion:
    """Each backend's product of the universal and its own swept keys and groups over the fixed part, then the explicit ones.

    Raises ``ConfigError`` for more points than can be worked with, and for a filter that cannot be computed.
    """
    chosen = backends_of(backends, varying)
    sources: list[Source] = [Ready(ready)]
    if varying.keys or len(chosen) > 1 or not (explicit or ready):
        filters = [parse_filter(text, index) for index, text in enumerate(varying.where)]
        sources += [
            Grid(backend, of_backend(fixed, backend), axes_for(varying, backend), filters, named=len(chosen) > 1)
            for backend in chosen or (None,)
        ]
    sources.append(Listed(fixed, explicit, chosen[0] if len(chosen) == 1 else None))
    _check_size(fixed, sum(map(len, sources)))
    return _judged(sources, tuple(_notices(fixed, backends, chosen, varying)))


def _judged(sources: Sequence[Source], notices: tuple[str, ...]) -> Expansion:
    """Every point is looked at once; what is kept of it is its number."""
    starts, kept, skipped = array("q"), array("q"), array("q")
    seen: dict[Identity, None] = {}  # in order: those of the points that are kept
    reasons: list[str] = []
    sentences: dict[str, str] = {}
    filtered: Counter[str] = Counter()
    first: tuple[Problem, ...] = ()
    merged = total = 0
    for source in sources:
        starts.append(total)
        total += len(source)
        for number, verdict in enumerate(source.verdicts(), starts[-1]):
            if isinstance(verdict, tuple):
                if verdict in seen:
                    merged += 1
                else:
                    seen[verdict] = None
                    kept.append(number)
            elif isinstance(verdict, Filter):
                filtered[verdict.text] += 1
            else:
                first = first or tuple(verdict)
                reason = "; ".join(map(_reason, verdict))
                reasons.append(sentences.setdefault(reason, reason))
                skipped.append(number)

    hashes = [config_hash for config_hash, _ in seen]

    def at(number: int) -> tuple[Source, int]:
        source = bisect_right(starts, number) - 1
        return sources[source], number - starts[source]

    def point(index: int) -> Point:
        source, position = at(kept[index])
        return Point(source.config(position), source.varied(position), hashes[index])

    def left(index: int) -> Skipped:
        source, position = at(skipped[index])
        return Skipped(source.varied(position), reasons[index])

    told = (*notices, *(f"where {text}: {_points(count)} left out" for text, count in filtered.items()))
    return Expansion(Lazy(len(kept), _remembered(point)), Lazy(len(skipped), left), merged, dict(filtered), told, first)


def _remembered(point: Callable[[int], Point]) -> Callable[[int], Point]:
    return lru_cache(maxsize=_KEPT)(point)


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count:,} points"


def _check_size(fixed: Mapping[str, Any], count: int) -> None:
    if count > _MOST_POINTS or count * sum(1 for _ in leaves(fixed)) > _MOST_VALUES:
        raise ConfigError(f"{count:,} experiments are too many", hint="vary fewer keys, or make several studies of it")


def _notices(
    fixed: Mapping[str, Any], backends: Sequence[str], chosen: Sequence[str], varying: Varying
) -> Iterator[str]:
    if chosen and not backends:
        yield f"backend: {chosen[0]}, the only one that a key of the study belongs to"
    for key in varying.always():
        value = value_at(fixed, key, _NOT_SET)
        if value is not _NOT_SET:
            yield f"{key}: the study varies it, the fixed value {short(value)} is not used"


def _reason(found: Problem) -> str:
    place = dotted(found.path)
    text = found.message if not place or repr(found.path[-1]) in found.message else f"{place}: {found.message}"
    return f"{text} ({found.hint})" if found.hint else text
