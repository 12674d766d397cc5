"""Idle power that was measured not long ago: one file in the cache for each set of sensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from llenergymeasure.errors import StoreError
from llenergymeasure.model.codec import CodecError, decode, encode
from llenergymeasure.model.idle import IdlePower
from llenergymeasure.model.reading import ENERGY_KINDS, Channel
from llenergymeasure.models.cache import cache_dir
from llenergymeasure.store.atomic import write_text


def recall(channels: Iterable[Channel], now: datetime, max_age_s: float) -> IdlePower | None:
    """What these channels gave, with its age, when it is not older than that; a file that cannot be read is none."""
    try:
        idle = decode(IdlePower, json.loads(_place(channels).read_text(encoding="utf-8")))
        age_s = (now - datetime.fromisoformat(idle.measured_at)).total_seconds()
    except (OSError, ValueError, TypeError, CodecError):
        return None
    return replace(idle, age_s=age_s) if 0 <= age_s <= max_age_s else None


def remember(channels: Iterable[Channel], idle: IdlePower) -> None:
    """Keep it for the next trials. A cache that cannot be written costs them some seconds, and this trial nothing."""
    place = _place(channels)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, json.dumps(encode(idle)) + "\n")
    except (OSError, StoreError):
        return


def _place(channels: Iterable[Channel]) -> Path:
    """Named by everything that decides what is read: sources, boards, domains and kinds."""
    read = sorted((one.source, one.device, one.domain, one.kind) for one in channels if one.kind in ENERGY_KINDS)
    return cache_dir() / "idle" / f"{hashlib.sha256(json.dumps(read).encode()).hexdigest()[:16]}.json"
