"""What this machine is, read once a trial. What cannot be read is ``None``."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

import psutil

from llenergymeasure.machine.gpus import gpus
from llenergymeasure.model.machine import Machine
from llenergymeasure.worker.identity import interpreter

# Packages of the host's interpreter that decide what is computed and read.
_HOST_PACKAGES = ("numpy", "scipy", "pydantic", "pyarrow", "psutil", "nvidia-ml-py")


def cpu_model() -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def visible_cpus(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Logical CPUs that this process may use: those that it may run on, and no more than its container's quota comes to."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(cgroups)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def _cpu_quota(cgroups: Path) -> float | None:
    """CPUs' worth of time that the control group grants (v2 ``cpu.max``, v1 ``cpu.cfs_quota_us``); ``None`` without limit."""
    try:
        if (cgroups / "cpu.max").exists():
            granted, period = (cgroups / "cpu.max").read_text(encoding="ascii").split()
        else:
            granted, period = (
                (cgroups / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
            )
        return None if granted == "max" or int(granted) <= 0 else int(granted) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def native_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX-512 BF16, AMX, or Arm BF16)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in text for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def _governor() -> str | None:
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _power_source() -> str | None:
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None:
        return None
    return "mains" if battery.power_plugged else "battery"


def _distribution() -> str | None:
    """The name and version that the system gives itself: ``Debian GNU/Linux 12 (bookworm)``, ``macOS 15.1``."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def snapshot() -> Machine:
    """The machine now."""
    return Machine(
        os=platform.system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        cpu_model=cpu_model(),
        logical_cpus=os.cpu_count() or 1,
        visible_cpus=visible_cpus(),
        memory_bytes=psutil.virtual_memory().total,
        cpu_governor=_governor(),
        power_source=_power_source(),
        gpus=gpus(),
        distribution=_distribution(),
        interpreter=interpreter(_HOST_PACKAGES),
    )
