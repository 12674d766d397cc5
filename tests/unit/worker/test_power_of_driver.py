from __future__ import annotations

from pathlib import Path

from llenergymeasure.model.event import EventLog, PowerTrend, Progress
from llenergymeasure.model.folder import DRIVER_EVENTS
from llenergymeasure.worker.power import PowerOfDriver


def test_the_newest_trend_is_the_one_that_counts(tmp_path: Path) -> None:
    """Nothing before the driver has said anything; what it says of other things is passed over."""
    power = PowerOfDriver(tmp_path)
    assert power() is None
    log = EventLog.append_to(tmp_path / DRIVER_EVENTS)
    log.write(PowerTrend(0.1, None))
    log.write(PowerTrend(0.02, 0.3))
    assert power() == PowerTrend(0.02, 0.3)
    log.write(Progress("something else"))
    assert power() == PowerTrend(0.02, 0.3)
    log.close()
