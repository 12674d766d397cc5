"""Tell a webhook how a study ended. Whatever goes wrong here, the study's result stands."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Callable
from urllib.error import URLError

from llenergymeasure.config.user import NotificationSettings
from llenergymeasure.schema.study import StudyResult

_TIMEOUT_S = 10.0


def notify(
    settings: NotificationSettings, result: StudyResult, say: Callable[[str], None], *, always: bool = False
) -> None:
    """POST the outcome to the configured address, if there is one and it wants to know; a failure is said and no more."""
    wanted = settings.on_complete if result.outcome == "complete" else settings.on_failure
    if settings.webhook_url is None:
        if always:
            say("nobody is told: notifications.webhook_url is not set")
        return
    if not (wanted or always):
        return
    headers = {"Content-Type": "application/json", "User-Agent": "llenergymeasure"}
    try:
        request = urllib.request.Request(settings.webhook_url, json.dumps(message(result)).encode(), headers)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        say(f"the webhook was not told: {error}")


def message(result: StudyResult) -> dict[str, object]:
    """What is sent: ``text``, which chat services show, and the same as fields. Nothing of the machine."""
    words = {
        "complete": "complete",
        "failed_trials": "ended with failures",
        "limit": "stopped",
        "interrupted": "interrupted",
    }
    best = result.best
    text = f"{result.name}: {words[result.outcome]}, {result.ran} of {result.planned} trials ran"
    if best is not None and len(result.aggregates) > 1:
        text += f"; best: {best.label}"
    return {
        "text": text,
        "study": result.name,
        "study_id": result.study_id,
        "outcome": result.outcome,
        "planned": result.planned,
        "ran": result.ran,
        "failed": len(result.failed),
        "best": None if best is None else best.label,
    }
