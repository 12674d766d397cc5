"""Nested mappings by dotted key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def copied(value: Any) -> Any:
    """A copy in which no mapping and no list is shared; scalars do not change, and are."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def set_at(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested mappings, which are made where they are missing."""
    *parents, last = key.split(".")
    for name in parents:
        if not isinstance(data.get(name), dict):
            data[name] = {}
        data = data[name]
    data[last] = value


def with_set(data: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """As ``set_at``, in a copy: mappings on the way are copied, everything else is shared."""
    first, rest = path[0], path[1:]
    if not rest:
        return {**data, first: value}
    below = data.get(first)
    return {**data, first: with_set(below if isinstance(below, Mapping) else {}, rest, value)}


def value_at(data: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value at a dotted key, or ``default`` where none stands."""
    below: Any = data
    for name in key.split("."):
        if not isinstance(below, Mapping) or name not in below:
            return default
        below = below[name]
    return below


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``: mappings are merged key by key, anything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = deep_merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything that is no mapping."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def overlap(one: str, other: str) -> bool:
    """Whether setting one dotted key touches the other: they are the same, or one is within the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
