"""What varies in a study, and everything that can be wrong with it before a point is made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from llenergymeasure.config import keys
from llenergymeasure.config.experiment import LATER
from llenergymeasure.config.hashing import identifies, portable
from llenergymeasure.config.nested import flat, value_at
from llenergymeasure.config.problems import Problem, did_you_mean, short
from llenergymeasure.config.where import FilterError, parse_filter
from llenergymeasure.config.yaml_strict import DataPath

# The fields whose values may be local files, which results know by their last name.
_LOCAL = ("model", "decoder.draft_model", "lora.adapter_path")


@dataclass(frozen=True, slots=True)
class Varying:
    """``sweep``: dotted keys and their values; ``groups``: by name, entries of keys that change together; ``where``: filters."""

    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    where: Sequence[str] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every dotted key that is swept or in a group, once."""
        return tuple(dict.fromkeys(key for _, key, _ in self.settings()))

    def settings(self) -> Iterator[tuple[DataPath, str, Any]]:
        """(where it is written, key, value or values) of everything that is swept or in a group's entry."""
        for key, values in self.sweep.items():
            yield ("sweep", key), key, values
        for name, entries in self.groups.items():
            for place, entry in enumerate(entries):
                for key, value in entry.items():
                    yield ("groups", name, place, key), key, [value]

    def always(self) -> Iterator[str]:
        """The keys that every point gets from what varies: those that are swept, or in each entry of a group."""
        yield from self.sweep
        for entries in self.groups.values():
            yield from (key for key in next(iter(entries), {}) if all(key in entry for entry in entries))

    def without(self, backends: Sequence[str]) -> Varying:
        """What is left when a study does without these backends."""
        sweep = {key: values for key, values in self.sweep.items() if keys.scope(key) not in backends}
        groups = {
            name: tuple(
                {key: value for key, value in entry.items() if keys.scope(key) not in backends} for entry in entries
            )
            for name, entries in self.groups.items()
        }
        return Varying(sweep, groups, self.where)


def axes_for(varying: Varying, backend: str | None) -> tuple[Sequence[Mapping[str, Any]], ...]:
    """The dimensions of one backend's grid, each with what its choices set: swept keys first, then groups."""
    swept = [
        [{key: value} for value in values]
        for key, values in varying.sweep.items()
        if keys.scope(key) in (None, backend)
    ]
    grouped = [
        [{key: value for key, value in entry.items() if keys.scope(key) in (None, backend)} for entry in entries]
        for entries in varying.groups.values()
    ]
    return (*swept, *grouped)


def backends_of(backends: Sequence[str], varying: Varying) -> tuple[str, ...]:
    """The backends given, else the only one that a varied key belongs to."""
    scopes = dict.fromkeys(name for key in varying.keys if (name := keys.scope(key)) is not None)
    return tuple(backends) or (tuple(scopes) if len(scopes) == 1 else ())


def problems_with(
    fixed: Mapping[str, Any], backends: Sequence[str], varying: Varying, explicit: Sequence[Mapping[str, Any]]
) -> list[Problem]:
    """Everything that is wrong with what varies, each where it is written in a study file."""
    wrong: list[Problem] = []
    for place, key, values in varying.settings():
        wrong += _wrong_key(place, key)
        for value in values if keys.is_section(key) else ():
            wrong += _wrong_below(place, key, value)
    if not wrong:
        wrong += [
            Problem(("sweep", key), "has no value", "write [a, b, …]") for key, one in varying.sweep.items() if not one
        ]
        wrong += [
            Problem(("groups", name), "has no entry", "write [{}, …]")
            for name, one in varying.groups.items()
            if not one
        ]
        wrong += _wrong_scopes(backends, varying)
        wrong += _varied_twice(varying)
    wrong += _wrong_filters(varying.where)
    for index, entry in enumerate(explicit):
        wrong += _wrong_entry(("experiments", index), entry)
        if len(backends) > 1 and "backend" not in entry:
            message = f"names no backend, and the study has {', '.join(backends)}"
            wrong.append(Problem(("experiments", index), message, f"add backend: {backends[0]}, or another"))
    return wrong or list(_one_name(fixed, varying, explicit))


def _wrong_key(place: DataPath, key: str) -> Iterator[Problem]:
    if key == "backend":
        yield Problem(place, "'backend' is not varied like this", "write the list beside sweep: backend: [a, b]")
        return
    known = _unknown(key)
    if known is not None:
        yield Problem(place, *known)
    elif not identifies(key):
        yield Problem(place, f"{key!r} is the same for the whole study", "write it once, beside sweep")


@cache
def _unknown(key: str) -> tuple[str, str] | None:
    """(message, hint) of a key that no experiment has."""
    first = key.partition(".")[0]
    if first in LATER:
        return f"{key!r} is not known to this version: {LATER[first]}", "remove it"
    known = keys.unknown(key)
    if known is None:
        return None
    if keys.scope(key) == key:
        return f"{key!r} is a whole section", f"vary its options: {known[0]}, …"
    return f"unknown key {key!r}", did_you_mean(key, known)


def _wrong_below(place: DataPath, key: str, value: Any) -> Iterator[Problem]:
    """The keys of a whole section as a value."""
    for below, _ in flat(value) if isinstance(value, Mapping) else ():
        known = _unknown(f"{key}.{below}")
        if known is not None:
            yield Problem(place, *known)


def _wrong_entry(place: DataPath, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """An explicit experiment: an experiment's keys, nested as in its own file."""
    for key in entry:
        if "." in key and _unknown(key) is None:
            *parents, last = key.split(".")
            nested = "".join(f"{parent}: {{" for parent in parents)
            yield Problem((*place, key), f"unknown key {key!r}", f"write {nested}{last}: …{'}' * len(parents)}")
            return
    for key, _ in flat(entry):
        path: DataPath = (*place, *key.split("."))
        known = _unknown(key)
        if known is not None:
            yield Problem(path, *known)
        elif not identifies(key):
            yield Problem(path, "is the same for the whole study", "write it once, beside experiments")


def _wrong_scopes(backends: Sequence[str], varying: Varying) -> Iterator[Problem]:
    scoped = [(place, key, name) for place, key, _ in varying.settings() if (name := keys.scope(key)) is not None]
    names = list(dict.fromkeys(name for _, _, name in scoped))
    if backends:
        for place, key, name in scoped:
            if name not in backends:
                message = f"{key!r} is an option of {name}, and the study has {', '.join(map(str, backends))}"
                yield Problem(place, message, f"add {name} to backend, or remove the key")
    elif len(names) > 1:
        place, key, _ = next(one for one in scoped if one[2] == names[1])
        message = f"{key!r}: keys of {', '.join(names)}, and no backend is given"
        yield Problem(place, message, f"write backend: [{', '.join(names)}]")


def _varied_twice(varying: Varying) -> Iterator[Problem]:
    """Keys that more than one axis sets, or of which one sets a part of what another sets."""
    owners: dict[str, list[DataPath]] = {}
    for place, key, _ in varying.settings():
        axes = owners.setdefault(key, [])
        if place[:2] not in axes[-1:]:
            axes.append(place[:2])
    told: set[tuple[DataPath, str]] = set()
    for place, key, _ in varying.settings():
        axis = place[:2]
        if (axis, key) in told:
            continue
        told.add((axis, key))
        if owners[key][0] != axis:
            yield Problem(
                place, f"{key!r} is varied twice, in {_name(owners[key][0])} and in {_name(axis)}", "keep one"
            )
        parts = key.split(".")
        for whole in (".".join(parts[:length]) for length in range(1, len(parts))):
            if whole in owners and (owners[whole] != [axis] or whole in _entry_at(varying, place)):
                yield Problem(
                    place, f"{key!r} is varied, and so is {whole!r}, in {_name(owners[whole][0])}", "keep one"
                )


def _entry_at(varying: Varying, place: DataPath) -> Mapping[str, Any]:
    """The entry of a group that a place lies in."""
    return varying.groups[str(place[1])][int(place[2])] if len(place) > 2 else {}


def _name(axis: DataPath) -> str:
    return "sweep" if axis[0] == "sweep" else f"group {axis[1]!r}"


def _wrong_filters(where: Sequence[str]) -> Iterator[Problem]:
    for index, text in enumerate(where):
        try:
            parse_filter(text)
        except FilterError as error:
            yield Problem(("where", index), f"filter {short(text)}: {error}", error.hint)


def _one_name(fixed: Mapping[str, Any], varying: Varying, explicit: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Different local files of one name would be one experiment."""
    for field_ in _LOCAL:
        known: dict[str, str] = {}
        for place, value in _values_at(field_, fixed, varying, explicit):
            if not isinstance(value, str):
                continue
            first = known.setdefault(portable(value), os.path.normpath(value))
            if first != os.path.normpath(value):
                message = f"{value!r} and {first!r} have one name, by which results know local files"
                yield Problem(place, message, "rename one of them")


def _values_at(
    key: str, fixed: Mapping[str, Any], varying: Varying, explicit: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[DataPath, Any]]:
    """Where a key gets its values: (place, value) of each."""
    if key not in varying.sweep:
        yield tuple(key.split(".")), value_at(fixed, key)
    for place, one, values in varying.settings():
        if one == key:
            yield from ((place, value) for value in values)
    for index, entry in enumerate(explicit):
        yield ("experiments", index, *key.split(".")), value_at(entry, key)
