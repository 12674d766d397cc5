"""What a study cannot change, and whether it is as it was."""

from llenergymeasure.machine.fingerprint import differences, fingerprint
from llenergymeasure.model.machine import Gpu
from llenergymeasure.testing.builders import machine


def test_boards_drivers_and_engines_are_compared():
    """Each difference is one line with before and now; the same machine has none."""
    before = fingerprint(machine(gpus=(Gpu("GPU-1", "H100", driver_version="550"),)), {"pytorch": "5.23"})
    assert list(differences(before, before)) == []
    now = fingerprint(machine(gpus=(Gpu("GPU-1", "H100", driver_version="560"),)), {"pytorch": "5.24", "old": "5.1"})
    assert list(differences(before, now)) == [
        "gpu GPU-1: H100, driver 550 before, H100, driver 560 now",
        "engine pytorch: 5.23 before, 5.24 now",
        "engine old: not there before, 5.1 now",
    ]
