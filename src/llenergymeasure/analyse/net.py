"""Net energy: what the work added to a machine that holds the model anyway."""

from __future__ import annotations

from llenergymeasure.model.mark import Interval
from llenergymeasure.schema.quantity import Quantity, missing

# Above this share of idle in gross, the difference says more about the sensor than about the work.
_IDLE_SHARE = 0.7


def net_energy(gross_j: Quantity, idle_power_w: float | None, window: Interval) -> Quantity:
    """Gross minus idle power over the same time; missing with the reason where it would mean nothing."""
    if gross_j.value is None:
        return missing("J", gross_j.reason or "not known")
    if gross_j.estimated:
        return missing("J", "an estimate has no idle power of its own")
    if idle_power_w is None:
        return missing("J", "no idle power was measured")
    idle_j = idle_power_w * window.duration_s
    if idle_j > _IDLE_SHARE * gross_j.value:
        return missing("J", f"idle is {idle_j / gross_j.value:.0%} of gross: the difference is not resolved")
    return gross_j.model_copy(
        update={
            "value": gross_j.value - idle_j,
            "repeatability_95": None,
            "absolute_95": None,
            "interval_reason": "the uncertainty of the idle power is not known",
        }
    )
