from __future__ import annotations

import math

import pytest

from llenergymeasure.testing.device_time import FIXED, OURS, compare


def test_two_percent_takes_at_most_half_of_the_fixed_protocol_s_time() -> None:
    """The same studies, stopped by the same rule, at no worse coverage; every second of the device is accounted for."""
    ours, fixed = compare(OURS, 6), compare(FIXED, 6)
    for one, other in zip(ours.device_s, fixed.device_s, strict=True):
        assert one <= 0.5 * other
    assert ours.covered >= 0.9 and ours.narrow >= 0.9
    assert fixed.seconds["waits"] > 0 == ours.seconds["waits"]
    for compared in (ours, fixed):
        assert math.fsum(compared.seconds.values()) == pytest.approx(math.fsum(compared.device_s) / 6)
        assert compared.cycles >= 5
