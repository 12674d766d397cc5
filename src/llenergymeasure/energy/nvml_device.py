"""What one NVIDIA device offers: its energy and power, and what says whether they can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llenergymeasure.energy.nvml_reads import (
    FAST_HZ,
    MEAN_HZ,
    BadValue,
    Board,
    Quantity,
    Read,
    divided,
    never_zero,
    text,
)
from llenergymeasure.energy.nvml_sharing import Sharing
from llenergymeasure.energy.own_processes import IsOurs
from llenergymeasure.units import NS_PER_S

# Causes that hold clocks down: by the violation status, and by the field that counts the same (newer drivers may have one only).
_VIOLATIONS = (
    ("power", "NVML_PERF_POLICY_POWER", "NVML_FI_DEV_PERF_POLICY_POWER"),
    ("thermal", "NVML_PERF_POLICY_THERMAL", "NVML_FI_DEV_PERF_POLICY_THERMAL"),
    ("sync_boost", "NVML_PERF_POLICY_SYNC_BOOST", "NVML_FI_DEV_PERF_POLICY_SYNC_BOOST"),
    ("board_limit", "NVML_PERF_POLICY_BOARD_LIMIT", "NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT"),
    ("reliability", "NVML_PERF_POLICY_RELIABILITY", "NVML_FI_DEV_PERF_POLICY_RELIABILITY"),
)
# Causes that newer drivers count apart.
_EVENT_TIMES = (
    ("software_thermal", "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN"),
    ("hardware_thermal", "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN"),
    ("power_brake", "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN"),
)


def quantities_of(nvml: Any, handle: Any, is_ours: IsOurs) -> Iterator[Quantity]:
    """All that this source knows to read of one device, whether or not the device supports it.

    What can be read in two ways comes twice, the better way first. Raises ``BadValue`` for a device in MIG mode: its meters are
    the whole board's.
    """
    if _in_mig_mode(nvml, handle):
        raise BadValue("MIG mode is on: energy and power are the whole board's and cannot be told apart by instance")
    board = Board(nvml, handle, text(nvml.nvmlDeviceGetUUID(handle)), text(nvml.nvmlDeviceGetName(handle)))
    yield from _energy(board)
    yield from _state(board)
    yield from _throttling(board)
    yield from Sharing(board, is_ours).quantities()


def _energy(board: Board) -> Iterator[Quantity]:
    nvml, handle = board.nvml, board.handle

    def watts(field: str, scope: int = nvml.NVML_POWER_SCOPE_GPU) -> Read:
        return never_zero(board.field(field, scope, sampled=True), 1000)

    counter = never_zero(lambda now_ns: nvml.nvmlDeviceGetTotalEnergyConsumption(handle), 1000)
    instant, usage = (
        watts("NVML_FI_DEV_POWER_INSTANT"),
        never_zero(lambda now_ns: nvml.nvmlDeviceGetPowerUsage(handle), 1000),
    )
    yield board.quantity(
        "counter", "J", counter, rate_hz=FAST_HZ, domain="module" if board.superchip else "gpu", resolution=0.001
    )
    yield board.quantity("power_instant", "W", instant, rate_hz=FAST_HZ, resolution=0.001)
    if board.superchip:
        module = watts("NVML_FI_DEV_POWER_INSTANT", nvml.NVML_POWER_SCOPE_MODULE)
        yield board.quantity("power_instant", "W", module, rate_hz=FAST_HZ, domain="module", resolution=0.001)
    if _usage_is_a_mean(nvml, handle):
        for read in (usage, watts("NVML_FI_DEV_POWER_AVERAGE")):
            yield board.quantity("power_mean", "W", read, rate_hz=MEAN_HZ, resolution=0.001, averaging_s=1.0)
    else:
        yield board.quantity("power_instant", "W", usage, rate_hz=FAST_HZ, resolution=0.001)
    # Recorded beside the counter, whose double it is said to be, until that was seen on the board at hand.
    yield board.quantity("energy_field", "J", never_zero(board.field("NVML_FI_DEV_ENERGY"), 1000), resolution=0.001)
    memory = watts("NVML_FI_DEV_POWER_INSTANT", nvml.NVML_POWER_SCOPE_MEMORY)
    yield board.quantity("part_power", "W", memory, detail="memory", resolution=0.001)


def _state(board: Board) -> Iterator[Quantity]:
    nvml, handle = board.nvml, board.handle

    def clock(which: int) -> Read:
        return never_zero(lambda now_ns: nvml.nvmlDeviceGetClockInfo(handle, which))

    temperature = never_zero(lambda now_ns: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    yield board.quantity("temperature", "°C", temperature)
    yield board.quantity("temperature", "°C", never_zero(board.field("NVML_FI_DEV_MEMORY_TEMP")), detail="memory")
    yield board.quantity("sm_clock", "MHz", clock(nvml.NVML_CLOCK_SM))
    yield board.quantity("memory_clock", "MHz", clock(nvml.NVML_CLOCK_MEM))
    yield board.quantity("utilisation", "%", lambda now_ns: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
    yield board.quantity(
        "utilisation", "%", lambda now_ns: float(nvml.nvmlDeviceGetUtilizationRates(handle).memory), detail="memory"
    )
    yield board.quantity("memory", "B", lambda now_ns: float(nvml.nvmlDeviceGetMemoryInfo(handle).used))
    for detail, field in (("sent", "NVML_FI_DEV_PCIE_COUNT_TX_BYTES"), ("received", "NVML_FI_DEV_PCIE_COUNT_RX_BYTES")):
        yield board.quantity("pcie", "B", board.field(field), detail=detail)


def _throttling(board: Board) -> Iterator[Quantity]:
    nvml, handle = board.nvml, board.handle
    limit = never_zero(lambda now_ns: nvml.nvmlDeviceGetEnforcedPowerLimit(handle), 1000)
    yield board.quantity("power_limit", "W", limit)
    yield board.quantity("clock_reasons", "", lambda now_ns: float(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)))
    for cause, policy, field in _VIOLATIONS:
        for read in (_violation(nvml, handle, getattr(nvml, policy)), divided(board.field(field), NS_PER_S)):
            yield board.quantity("throttle_time", "s", read, detail=cause)
    for cause, field in _EVENT_TIMES:
        yield board.quantity("throttle_time", "s", divided(board.field(field), NS_PER_S), detail=cause)


def _violation(nvml: Any, handle: Any, policy: int) -> Read:
    return lambda now_ns: float(nvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime / NS_PER_S)


def _usage_is_a_mean(nvml: Any, handle: Any) -> bool:
    """PowerUsage is a 1 s mean on Ampere (except GA100, capability 8.0) and newer, instantaneous before."""
    try:
        capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    except nvml.NVMLError:
        return True
    return capability > (8, 0)


def _in_mig_mode(nvml: Any, handle: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:
        return False
