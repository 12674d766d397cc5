from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from llenergymeasure.analyse.energy.headline import TrialEnergy
from llenergymeasure.analyse.validity import judge
from llenergymeasure.model.event import ClockTriple, WarmupDone, WindowDone
from llenergymeasure.model.job import Protocol, WarmupProtocol, WindowProtocol
from llenergymeasure.model.machine import Gpu
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, SourceVerdict
from llenergymeasure.model.request import RequestRecord
from llenergymeasure.schema.energy import DomainEnergy
from llenergymeasure.schema.performance import ComputeGroup, FlopsGroup
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.schema.validity import CODES, Remark, remark
from llenergymeasure.testing.builders import (
    joules,
    machine,
    prepared_inputs,
    process_identity,
    request_record,
    session_facts,
    trace,
    trial_job,
)
from llenergymeasure.units import NS_PER_S

_WINDOW = Interval(2 * NS_PER_S, 14 * NS_PER_S)
_NO_COMPUTE = ComputeGroup(flops=FlopsGroup(reason="not known"))
_RATES = (missing("J/token", "none"), missing("tokens/s", "none"), missing("W", "none"))


def _energy(**changes: object) -> TrialEnergy:
    fields: dict[str, object] = {
        "total_j": missing("J", "no energy source was read"),
        "scope": "none",
        "parts": (),
        "bystanders": (),
        "terms": (),
        "resets": (),
        "largest_gap_s": 0.0,
    }
    return TrialEnergy(**fields | changes)  # type: ignore[arg-type]


def _remarks(
    energy: TrialEnergy | None = None,
    rates: tuple[Quantity, Quantity, Quantity] = _RATES,
    window: Interval = _WINDOW,
    requests: tuple[RequestRecord, ...] = (),
    head: Mapping[str, object] | None = None,
    compute: ComputeGroup = _NO_COMPUTE,
) -> dict[str, Remark]:
    """The remarks on a trial of a real engine whose head has these changes."""
    head = {"session": session_facts(engine="pytorch"), **(head or {})}
    validity = judge(trace(requests, **head), window, energy or _energy(), rates, compute)
    found = {one.code: one for one in validity.remarks}
    assert validity.valid == all(CODES[code][0] != "error" for code in found)
    return found


def test_steps_in_pace_with_a_sensor_of_unknown_duty_are_told() -> None:
    """They may hide, whatever the interval says."""
    found = _remarks(_energy(in_pace=("GPU-1",)))
    assert "GPU-1" in found["sampling_alias"].evidence and "--characterise" in found["sampling_alias"].evidence


def _protocol(**changes: object) -> object:
    return trial_job(protocol=dataclasses.replace(Protocol(), **changes))  # type: ignore[arg-type]


def _warmup(batches: int, steady: bool | None, cv: float | None) -> dict[str, object]:
    return {"warmup": WarmupDone(batches, 1.0, steady, cv, "pool")}


def test_a_clean_trial_has_no_remark() -> None:
    """Nothing is said where there is nothing to say."""
    assert _remarks() == {}


@pytest.mark.parametrize(
    ("code", "evidence", "changes"),
    [
        ("simulated", "took part", {"session": session_facts(engine="simulated")}),
        (
            "simulated",
            "was read",
            {"channels": (Channel(0, "simulated", "package", "cpu", "a CPU", "counter", "J", 10.0),)},
        ),
        ("preliminary", "--quick", {"job": _protocol(preliminary=True)}),
        ("no_steady_state", "9 warm-up batches, coefficient of variation 7.0 %", _warmup(9, False, 0.07)),
        ("no_steady_state", "coefficient of variation unknown", _warmup(2, None, None)),
        ("short_window", "12.00 s of 20.00 s", {"job": _protocol(window=WindowProtocol(min_seconds=20))}),
        ("partial_pass", "cut by max_seconds", {"window": WindowDone(1, True, "max_seconds")}),
        ("inputs_truncated", "3 prompts", {"inputs": dataclasses.replace(prepared_inputs().description, truncated=3)}),
        ("clock_offset", "different clocks", {"meter": process_identity(boot_id="another")}),
        ("clock_offset", "different clocks", {"meter": process_identity(time_namespace=None)}),
        ("source_broken", "wall: a read raised", {"verdicts": (SourceVerdict("wall", False, "a read raised", True),)}),
        ("suspended", "slept for 2.5 s", {"clock": (ClockTriple(0, 0, 0), ClockTriple(NS_PER_S, 0, 7 * NS_PER_S // 2))}),
    ],
)  # fmt: skip
def test_facts_that_limit_a_result(code: str, evidence: str, changes: dict[str, object]) -> None:
    """Each is one remark with its evidence and what would help."""
    found = _remarks(head=changes)
    assert set(found) == {code}
    assert evidence in found[code].evidence and found[code].remedy


@pytest.mark.parametrize(
    ("code", "evidence", "energy"),
    [
        ("estimated_energy", "not from a meter", {"total_j": joules(5.0, estimated=True)}),
        ("counter_reset", "nvml: the counter fell", {"resets": ("nvml: the counter fell",)}),
        ("sampling_gap", "1.5 s without a reading", {"largest_gap_s": 1.5}),
    ],
)
def test_energy_that_limits_a_result(code: str, evidence: str, energy: dict[str, object]) -> None:
    """What the readings lack is said."""
    found = _remarks(_energy(**energy))
    assert set(found) == {code} and evidence in found[code].evidence


def test_counts_that_differ_make_a_result_invalid() -> None:
    """An engine that counts other tokens than there are ids is an error."""
    records = (request_record(0), request_record(1, engine_output_tokens=3))
    found = _remarks(requests=records)
    assert set(found) == {"token_count_mismatch"}
    assert found["token_count_mismatch"].evidence == "1 of 2 requests"


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({"warmup": WarmupDone(0, 0, None, None, "none"), "job": _protocol(warmup=WarmupProtocol("none"))}, _WINDOW),
        ({"warmup": WarmupDone(2, 1, False, 0.5, "pool"), "job": _protocol(warmup=WarmupProtocol("fixed"))}, _WINDOW),
        ({"meter": process_identity(pid=7)}, _WINDOW),
        ({"clock": ()}, _WINDOW),
        ({"clock": (ClockTriple(0, 0, 0), ClockTriple(0, 0, 10**8))}, _WINDOW),
        ({}, Interval(0, 9_900_000_000)),
    ],
    ids=["no warm-up", "fixed warm-up", "same clock", "no clock", "clocks close", "nearly long enough"],
)
def test_what_limits_nothing_is_not_said(changes: dict[str, object], window: Interval) -> None:
    """A remark that everybody gets says nothing."""
    assert _remarks(window=window, head=changes) == {}


@pytest.mark.parametrize(("power_w", "codes"), [(5.0, set()), (5.0 * (1 + 1e-6), {"physics"}), (None, set())])
def test_watts_are_joules_a_token_times_tokens_a_second(power_w: float | None, codes: set[str]) -> None:
    """A headline that contradicts itself is an error."""
    rates = (joules(0.05, "J/token"), joules(100.0, "tokens/s"), joules(power_w, "W"))
    assert set(_remarks(rates=rates)) == codes


def _part(device: str, domain: str, low_j: float) -> DomainEnergy:
    gross = joules(low_j + 1, absolute_95={"low": low_j, "high": low_j + 2})
    return DomainEnergy(
        domain=domain,
        device=device,
        source="s",
        method="m",
        grade="B",
        estimated=False,
        gross_j=gross,
        in_headline=True,
    )


def _gpus(**changes: object) -> dict[str, object]:
    return {
        "machine": machine(gpus=(Gpu("GPU-1", "G", **changes), Gpu("GPU-2", "H", persistence_mode=False))),
        "session": session_facts(engine="pytorch", device_ids=("GPU-1",)),
    }


@pytest.mark.parametrize(
    ("part", "limit_w", "broken"),
    [
        (_part("GPU-1", "gpu", 12 * 301.0), 300.0, True),
        (_part("GPU-1", "gpu", 12 * 299.0), 300.0, False),
        (_part("GPU-1", "gpu", 12 * 301.0), None, False),
        (_part("GPU-1", "module", 12 * 301.0), 300.0, False),
        (_part("cpu", "gpu", 12 * 301.0), 300.0, False),
    ],
    ids=["above", "below", "no limit", "more than the board", "another device"],
)
def test_a_board_does_not_take_more_than_its_limit(part: DomainEnergy, limit_w: float | None, broken: bool) -> None:
    """Mean power that lies above the limit with all its uncertainty cannot be true."""
    found = _remarks(_energy(parts=(part,)), head=_gpus(power_limit_w=limit_w))
    assert ("physics" in found) == broken
    if broken:
        assert found["physics"].evidence == "GPU-1 took 301 W or more, its limit is 300 W"


@pytest.mark.parametrize(
    ("shares", "evidence"),
    [
        ({"mfu": 1.2, "peak_type": "bf16"}, "1.20 times the devices' peak for bf16"),
        ({"mbu": 1.2}, "1.20 times the devices' memory bandwidth"),
        ({"mfu": 1.0, "mbu": 1.0}, None),
    ],
)
def test_nothing_is_faster_than_its_peak(shares: dict[str, object], evidence: str | None) -> None:
    """A rate above what the devices can do makes a result invalid."""
    found = _remarks(compute=_NO_COMPUTE.model_copy(update=shares))
    assert set(found) == ({"physics"} if evidence else set())
    assert evidence is None or evidence in found["physics"].evidence


def test_a_battery_and_a_driver_that_unloads_are_told() -> None:
    """Only the GPUs that worked count."""
    assert set(_remarks(head={"machine": machine(power_source="battery")})) == {"on_battery"}
    assert _remarks(head={"machine": machine(power_source="mains")}) == {}
    found = _remarks(head=_gpus(persistence_mode=False))
    assert set(found) == {"persistence_mode_off"} and found["persistence_mode_off"].evidence == "G"
    assert _remarks(head=_gpus()) == {}


def test_every_code_says_what_helps() -> None:
    """Severity and remedy come from one table, and a code that is not in it cannot be used."""
    assert all(remedy for _, remedy in CODES.values())
    assert remark("physics", "x") == Remark(code="physics", severity="error", evidence="x", remedy=CODES["physics"][1])
    with pytest.raises(KeyError):
        remark("invented", "x")
