"""Study results for tests."""

from __future__ import annotations

from typing import Any

from llenergymeasure.schema.study import StudyResult
from llenergymeasure.testing.builders import STARTED_AT


def study_result(**changes: Any) -> StudyResult:
    """A study of two trials that ran."""
    fields: dict[str, Any] = {
        "study_id": "s_2026-11-24T00-00-00Z",
        "name": "s",
        "study_design_hash": "0" * 16,
        "started_at": STARTED_AT,
        "completed_at": STARTED_AT,
        "measurement_protocol": {},
        "outcome": "complete",
        "planned": 2,
        "ran": 2,
        "merged": 0,
        "ranked_by": None,
    }
    return StudyResult(**fields | changes)
