from __future__ import annotations

import pytest

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.plan.resolve import protocol_of


@pytest.mark.parametrize(
    ("metered", "strategy", "target", "drift"),
    [
        (True, "steady", None, 0.005),
        (True, "steady", 0.01, 0.0025),
        (True, "fixed", None, None),
        (True, "none", None, None),
        (False, "steady", None, None),
    ],
)
def test_a_warm_up_waits_for_power_where_it_is_read_and_steadiness_is_asked_for(
    metered: bool, strategy: str, target: float | None, drift: float | None
) -> None:
    """A window may drift by a quarter of the interval that is wanted, 2 % where none is."""
    config = ExperimentConfig.model_validate({"model": "m", "warmup": {"strategy": strategy}})
    assert protocol_of(config, metered, False, target).warmup.power_drift == drift


def test_quick_waits_for_nothing() -> None:
    """Its two warm-up batches are fixed."""
    assert protocol_of(ExperimentConfig(model="m"), True, True).warmup.power_drift is None
