"""The worker and its meter."""

from llenergymeasure.model.event import EventLog, Hello, Metered
from llenergymeasure.testing.builders import process_identity
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.worker.metered import wait_until_metered


class Written(VirtualClock):
    """A clock on which the meter of a folder says hello at once and reads after a while."""

    def __init__(self, folder, reads_after_s):
        super().__init__()
        self._log = EventLog.append_to(folder / "meter.jsonl")
        self._log.write(Hello(process_identity()))
        self._reads_ns = self.now_ns() + round(1e9 * reads_after_s)

    def sleep(self, seconds):
        before_ns = self.now_ns()
        super().sleep(seconds)
        if before_ns < self._reads_ns <= self.now_ns():
            self._log.write(Metered((), ()))
            self._log.close()


def test_a_worker_waits_for_its_meter(tmp_path):
    """It goes on within some milliseconds of the meter's first readings, not before."""
    clock = Written(tmp_path, reads_after_s=0.2)
    began_ns = clock.now_ns()
    wait_until_metered(tmp_path, clock)
    assert 0.195 <= (clock.now_ns() - began_ns) / 1e9 <= 0.22
    again_ns = clock.now_ns()
    wait_until_metered(tmp_path, clock)
    assert clock.now_ns() == again_ns
