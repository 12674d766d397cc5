"""What cannot run here for want of an accelerator, with a torch and tensors that only record what is asked of them."""

import sys
from types import SimpleNamespace

import pytest

from llenergymeasure.backends.pytorch_facts import device_id, forget_memory_peaks, memory_peaks, synchronize
from llenergymeasure.backends.pytorch_session import StepStamps


class Ids:
    """Token ids on a device; fetching one is written down."""

    def __init__(self, kind, log):
        self.device = SimpleNamespace(type=kind)
        self._log = log

    def __getitem__(self, place):
        return SimpleNamespace(item=lambda: self._log.append(("fetched", place)))


@pytest.mark.parametrize(("kind", "order"), [("cuda", [("fetched", (0, -1)), "stamped"]), ("cpu", ["stamped"])])
def test_a_stamp_waits_for_its_token(kind, order):
    """An accelerator may still be computing when the step is reported: its last id is fetched first. A CPU is done."""
    log = []
    assert StepStamps(lambda: log.append("stamped"), None, 3)(Ids(kind, log), None) is False
    assert log == order


def test_without_stamps_nobody_waits():
    """Where steps are no tokens, the engine runs ahead as it likes."""
    log = []
    StepStamps(None, None, 3)(Ids("cuda", log), None)
    assert log == []


@pytest.fixture
def two_gpus(monkeypatch):
    """(devices, log) of a torch that sees two NVIDIA GPUs."""
    log = []
    cuda = SimpleNamespace(
        synchronize=lambda device: log.append(("synchronize", device.index)),
        reset_peak_memory_stats=lambda device: log.append(("reset", device.index)),
        max_memory_allocated=lambda device: 100 + device.index,
        max_memory_reserved=lambda device: 1000 + device.index,
        get_device_properties=lambda device: SimpleNamespace(uuid=f"5f0a-{device.index}"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return tuple(SimpleNamespace(type="cuda", index=index) for index in (0, 1)), log


def test_gpus_are_named_as_their_driver_names_them(two_gpus):
    """The energy sources know a GPU by the UUID that NVML prints."""
    devices, _ = two_gpus
    assert [device_id(device) for device in devices] == ["GPU-5f0a-0", "GPU-5f0a-1"]
    assert device_id(SimpleNamespace(type="cpu", index=None)) == "cpu"
    assert device_id(SimpleNamespace(type="mps", index=0)) == "mps:0"


def test_every_gpu_is_waited_for_and_its_memory_added(two_gpus):
    """A model over two GPUs works on both and holds memory of both."""
    devices, log = two_gpus
    forget_memory_peaks(devices)
    synchronize(devices)
    peaks = memory_peaks(devices)
    assert log == [("reset", 0), ("reset", 1), ("synchronize", 0), ("synchronize", 1)]
    assert (peaks.allocated_peak_bytes, peaks.reserved_peak_bytes) == (201, 2001)
