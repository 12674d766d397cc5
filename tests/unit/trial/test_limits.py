from __future__ import annotations

import pytest

from llenergymeasure.model.job import Limits
from llenergymeasure.trial.limits import Observed, overdue
from llenergymeasure.units import NS_PER_S

_LIMITS = Limits(load_seconds=100, run_seconds=50, silence_seconds={"load": 80, "warmup": 20, "window": 10})


def _seen(phase: str, *, load_ended_s: float | None = None, last_sign_s: float = 0) -> Observed:
    ended_ns = None if load_ended_s is None else int(load_ended_s * NS_PER_S)
    return Observed(phase, 0, ended_ns, int(last_sign_s * NS_PER_S))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "now_s", "kind"),
    [
        (_seen("load"), 80, None),
        (_seen("load"), 80.1, "silent"),
        (_seen("load", last_sign_s=90), 100, None),
        (_seen("load", last_sign_s=90), 100.1, "timeout"),
        (_seen("warmup", load_ended_s=10, last_sign_s=55), 60, None),
        (_seen("warmup", load_ended_s=10, last_sign_s=55), 60.1, "timeout"),
        (_seen("warmup", load_ended_s=10, last_sign_s=20), 41, "silent"),
        (_seen("window", load_ended_s=10, last_sign_s=30), 40, None),
        (_seen("window", load_ended_s=10, last_sign_s=30), 40.1, "silent"),
        (_seen("quiet", load_ended_s=10, last_sign_s=10), 59, None),
    ],
)
def test_when_a_worker_is_given_up(seen: Observed, now_s: float, kind: str | None) -> None:
    """Loading and running have their own limits, each phase its own silence, and a phase without one is not watched for it."""
    verdict = overdue(_LIMITS, seen, int(now_s * NS_PER_S))
    assert (verdict and verdict[0]) == kind


def test_the_words_name_the_limit() -> None:
    """A person reads which limit it was and how long."""
    assert overdue(_LIMITS, _seen("load", last_sign_s=101), 101 * NS_PER_S) == (
        "timeout",
        "loading took longer than 100 s",
    )
    late = overdue(_LIMITS, _seen("window", load_ended_s=1, last_sign_s=1), 20 * NS_PER_S)
    assert late == ("silent", "no sign of life for 10 s in window")
    ran = overdue(_LIMITS, _seen("window", load_ended_s=1, last_sign_s=60), 60 * NS_PER_S)
    assert ran == ("timeout", "the trial took longer than 50 s after loading")


def test_without_a_run_limit_a_trial_may_take_any_time() -> None:
    """No forecast, no limit; silence is still one."""
    limits = Limits(run_seconds=None, silence_seconds={})
    assert overdue(limits, _seen("window", load_ended_s=0), 10**6 * NS_PER_S) is None
