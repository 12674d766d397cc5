"""The manifest: the plan as first made, on disk before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

from llenergymeasure.errors import StoreError
from llenergymeasure.model.codec import CodecError, decode, encode
from llenergymeasure.plan.plan import Plan
from llenergymeasure.store.atomic import write_text
from llenergymeasure.store.layout import MANIFEST


def write_manifest(folder: Path, plan: Plan) -> None:
    """Write the plan. Raises ``StoreError``."""
    write_text(folder / MANIFEST, json.dumps(encode(plan), indent=1, allow_nan=False) + "\n")


def read_manifest(folder: Path) -> Plan:
    """The plan of a study's folder. Raises ``StoreError`` when there is none."""
    path = folder / MANIFEST
    try:
        return decode(Plan, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise StoreError(f"{folder}: holds no study ({MANIFEST} is missing)", hint="name a study's folder") from error
    except (OSError, ValueError, CodecError, RecursionError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
