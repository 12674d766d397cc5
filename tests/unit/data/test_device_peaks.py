"""The table of what accelerators can do."""

from __future__ import annotations

import pytest

from llenergymeasure.data.device_peaks import device_name, device_peaks


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 80GB HBM3"),
        ("NVIDIA A100-SXM4-40GB", "A100-SXM4-40GB"),
        ("A100-SXM4-40GB", "A100-SXM4-40GB"),
        ("Tesla V100-SXM2-16GB", "V100-SXM2-16GB"),
        ("NVIDIA  L4 ", "L4"),
    ],
)
def test_names_are_found_with_and_without_the_make(driver: str, name: str) -> None:
    """Drivers have named the make in different ways."""
    assert device_name(driver) == name
    assert name in device_peaks()


def test_every_device_has_a_source_and_plausible_peaks() -> None:
    """Narrow types are never slower than wide ones, and units are operations and bytes per second."""
    assert len(device_peaks()) > 15
    for name, device in device_peaks().items():
        assert device.name == name == device_name(name) and device.source
        rates = [device.flops_per_s[kind] for kind in ("fp32", "tf32", "fp16", "int8") if kind in device.flops_per_s]
        assert rates == sorted(rates) and 5e12 < rates[0] < rates[-1] < 1e16, name
        assert device.flops_per_s.get("bf16", device.flops_per_s["fp16"]) == device.flops_per_s["fp16"], name
        assert device.bytes_per_s is None or 1e11 < device.bytes_per_s < 1e13, name


def test_a_device_that_is_not_there_is_not_made_up() -> None:
    """Another variant of a board is another device."""
    assert device_peaks().get(device_name("NVIDIA A10G")) is None
