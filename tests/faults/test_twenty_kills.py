"""Twenty real SIGKILLs at random instants, at any process of a study."""

import pytest

from llenergymeasure.testing.kills import kill_and_resume

pytestmark = pytest.mark.faults


def test_twenty_kills_lose_nothing_and_repeat_nothing(tmp_path, own_cache):
    """After the last resume every trial has completed once; what had finished before a kill was never touched."""
    killed = kill_and_resume(tmp_path, kills=20, seed=7)
    assert sum(killed.kills.values()) == 20
    assert set(killed.kills) == {"host", "driver", "worker", "meter"}, "not every role was hit: choose another seed"
    assert killed.wrong == []
    assert killed.trials == 20
