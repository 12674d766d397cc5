"""One study at a time on a device."""

import threading

import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.model.machine import Gpu
from llenergymeasure.study.devices import alone_on, devices_of
from llenergymeasure.testing.builders import machine
from llenergymeasure.testing.virtual_clock import VirtualClock

GPUS = machine(gpus=(Gpu("GPU-1", "H100"), Gpu("GPU-2", "L4")))


@pytest.mark.parametrize(
    ("kinds", "environment", "devices"),
    [
        (["cpu"], {}, ("cpu",)),
        (["cuda"], {}, ("GPU-1", "GPU-2")),
        (["cuda", "cpu"], {"CUDA_VISIBLE_DEVICES": "GPU-2"}, ("GPU-2", "cpu")),
        (["cuda"], {"CUDA_VISIBLE_DEVICES": "0"}, ("GPU-1", "GPU-2")),  # which one that is cannot be told
        (["cuda"], {"CUDA_VISIBLE_DEVICES": ""}, ()),
    ],
)
def test_a_study_holds_what_it_may_use(kinds, environment, devices):
    """The CPU for work on the CPU, every GPU that it can see for work on one."""
    assert devices_of(kinds, GPUS, environment) == devices


class Releasing(VirtualClock):
    """Lets the other study end when somebody waits for it."""

    def __init__(self, release):
        super().__init__()
        self.slept = 0
        self._release = release

    def sleep(self, seconds):
        super().sleep(seconds)
        self.slept += 1
        self._release.set()


def test_the_second_waits_for_the_first_and_says_so(tmp_path):
    """With the number of the process that holds the device; once."""
    inside, release, said = threading.Event(), threading.Event(), []

    def first():
        with alone_on(["cpu"], VirtualClock(), said.append, tmp_path):
            inside.set()
            assert release.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)
    clock = Releasing(release)
    with alone_on(["GPU-1", "cpu"], clock, said.append, tmp_path):
        assert clock.slept
    thread.join()
    assert len(said) == 1 and said[0].startswith("waiting: another study of process ") and "on cpu" in said[0]


def test_other_devices_are_not_waited_for(tmp_path):
    """Two studies on two GPUs run side by side."""
    said = []
    here = VirtualClock(), said.append, tmp_path
    with alone_on(["GPU-1"], *here), alone_on(["GPU-2"], *here):
        pass
    assert said == []


def test_where_no_lock_can_be_made_the_way_round_is_told(tmp_path):
    """A file in the way of the folder."""
    (tmp_path / "x").write_text("")
    with pytest.raises(StoreError) as refused, alone_on(["cpu"], VirtualClock(), print, tmp_path / "x" / "y"):
        pass
    assert refused.value.hint == "--no-lock"
