"""Reads what only studies have: ``backend`` as a list, ``sweep``, ``groups``, ``where``, ``experiments``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llenergymeasure.config import keys
from llenergymeasure.config.problems import Problem, short
from llenergymeasure.config.ranges import values_of

Values = dict[str, tuple[Any, ...]]
Groups = dict[str, tuple[Mapping[str, Any], ...]]


def read_backends(value: Any) -> tuple[tuple[str, ...], list[Problem]]:
    """A name, or a list of names."""
    if value == []:
        return (), [Problem(("backend",), "the list of backends is empty", "name one, or leave the key out")]
    names = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(name, str) for name in names):
        return (), [Problem(("backend",), f"backend should be a name or a list of names, found {short(value)}")]
    if len(set(names)) != len(names):
        return (), [Problem(("backend",), "a backend is listed twice", "list each once")]
    return tuple(names), []


def read_sweep(value: Any) -> tuple[Values, list[Problem]]:
    """Dotted keys with a list of values, or a range, each."""
    if value is None:
        return {}, []
    if not isinstance(value, Mapping):
        return {}, [Problem(("sweep",), "sweep should map keys to lists of values", "write n: [10, 20]")]
    sweep: Values = {}
    wrong: list[Problem] = []
    for key, values in value.items():
        if isinstance(values, list) and values:
            sweep[key] = tuple(values)
        elif not isinstance(values, Mapping):
            wrong.append(
                Problem(("sweep", key), f"a sweep needs a list of values, found {short(values)}", "write [a, b, …]")
            )
        elif keys.unknown(key) is not None:
            sweep[key] = ()  # told where keys are checked
        else:
            try:
                sweep[key] = values_of(key, values)
            except ValueError as error:
                wrong.append(Problem(("sweep", key), *error.args))
    return sweep, wrong


def read_groups(value: Any) -> tuple[Groups, list[Problem]]:
    """By name, a list of entries: mappings of dotted keys to one value each."""
    if value is None:
        return {}, []
    hint = "write name: [{}, {precision: fp16, n: 20}]"
    if not isinstance(value, Mapping):
        return {}, [Problem(("groups",), "groups should map names to lists of entries", hint)]
    groups: Groups = {}
    wrong: list[Problem] = []
    for name, entries in value.items():
        if not isinstance(entries, list) or not entries:
            wrong.append(Problem(("groups", name), f"a group needs a list of entries, found {short(entries)}", hint))
            continue
        wrong += [
            Problem(("groups", name, index), f"an entry should map keys to values, found {short(entry)}", hint)
            for index, entry in enumerate(entries)
            if not isinstance(entry, Mapping)
        ]
        groups[name] = tuple(entry for entry in entries if isinstance(entry, Mapping))
    return groups, wrong


def read_where(value: Any) -> tuple[tuple[str, ...], list[Problem]]:
    """A list of filters, as text."""
    if value is None:
        return (), []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return (), [
            Problem(("where",), f"where should be a list of filters, found {short(value)}", 'write - "n <= 100"')
        ]
    return tuple(value), []


def read_experiments(value: Any) -> tuple[tuple[Mapping[str, Any], ...], list[Problem]]:
    """Explicit experiments."""
    entries = [] if value is None else value
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        return (), [Problem(("experiments",), "experiments should be a list of mappings", "write - {n: 5}")]
    return tuple(entries), []
