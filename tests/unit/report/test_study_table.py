"""A study's last lines."""

from datetime import UTC, datetime

from llenergymeasure.analyse.aggregate import Group, aggregate
from llenergymeasure.report.study_table import study_lines
from llenergymeasure.schema.study import FailedTrial, SkippedPoint, StudyResult
from llenergymeasure.testing.builders import experiment_result

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def group(label, per_token_j, rate, cycles=3, **varied):
    results = tuple(
        experiment_result(per_token_j=per_token_j and per_token_j * (1 + 0.001 * cycle), rate=rate, cycle=cycle)
        for cycle in range(cycles)
    )
    return Group(label, varied, results)


def study(*groups, **changes):
    ranked_by, aggregates = aggregate(groups)
    fields = {
        "study_id": "s",
        "name": "s",
        "study_design_hash": "0" * 16,
        "started_at": NOW,
        "completed_at": NOW,
        "measurement_protocol": {},
        "outcome": "complete",
        "planned": 3 * len(groups),
        "ran": 3 * len(groups),
        "merged": 0,
        "ranked_by": ranked_by,
        "aggregates": aggregates,
    }
    return StudyResult(**{**fields, **changes})


def text(result, width=None):
    return "\n".join(study_lines(result, width))


def test_the_best_is_named_and_starred():
    """Only what varies has a column; the other is told how it compares."""
    shown = text(study(group("one", 0.05, 100.0, n=1), group("two", 0.10, 50.0, n=2)))
    assert "★" in shown.splitlines()[2]
    assert "worse" in shown.splitlines()[3]
    assert "Best by energy per output token: one" in shown


def test_what_cannot_be_told_apart_is_listed():
    """Within 2 % of the best is said in words."""
    shown = text(study(group("one", 0.05, 100.0, n=1), group("two", 0.0501, 100.0, n=2)))
    assert "within 2 % of it: two" in shown


def test_options_of_different_engines_share_a_column():
    """Scoped keys are shown without their backend's name."""
    shown = text(
        study(
            group("a", 0.05, 100.0, **{"backend": "pytorch", "pytorch.batch_size": 8}),
            group("b", 0.06, 100.0, **{"backend": "llamacpp", "llamacpp.n_parallel": 4}),
        )
    )
    assert "batch_size=8" in shown
    assert "n_parallel=4" in shown


def test_missing_energy_is_a_dash_with_its_reason():
    """The ranking falls back to tokens per second and says so."""
    shown = text(study(group("a", None, 100.0, n=1), group("b", None, 50.0, n=2)))
    assert "Best by tokens per second: a" in shown
    assert "Energy was not ranked: not metered" in shown or "Energy was not ranked:" in shown
    assert "–" in shown


def test_skipped_failed_and_left_out_stay_apart():
    """Each with its reason."""
    shown = text(
        study(
            group("a", 0.05, 100.0),
            skipped=(SkippedPoint(label="precision=bf16", reason="not supported"),),
            failed=(
                FailedTrial(
                    trial=2,
                    label="b, cycle 1",
                    kind="out_of_memory",
                    message="too big",
                    hint="smaller",
                    folder="f",
                    config={},
                ),
            ),
            planned=6,
            outcome="interrupted",
        )
    )
    assert "Skipped  precision=bf16: not supported" in shown
    assert "Failed   b, cycle 1: out_of_memory: too big" in shown
    assert "Not run  2 of 6 trials" in shown
