"""Plans for tests: experiments of a backend that nobody runs."""

from __future__ import annotations

from typing import Any

from llenergymeasure.model.job import BackendChoice, Decoder, Limits, Metering, ModelRef, Protocol
from llenergymeasure.plan.order import CycleOrder, order
from llenergymeasure.plan.plan import Execution, Plan, PlannedExperiment


def planned(
    points: int = 1,
    cycles: int = 1,
    *,
    energy: str = "",
    cycle_order: CycleOrder = "interleaved",
    order_seed: int = 0,
    **execution: Any,
) -> Plan:
    """A study of ``points`` experiments, ``point 0`` and so on; further keywords are those of ``Execution``."""
    experiments = tuple(_experiment(number) for number in range(points))
    return Plan(
        name="s",
        study_design_hash="0" * 16,
        experiments=experiments,
        trials=order(points, cycles, cycle_order, order_seed),
        skipped=(),
        merged=0,
        execution=Execution(cycles, cycle_order, order_seed, **execution),
        created_at="2026-11-24T00:00:00+00:00",
        llenergymeasure_version="0",
        energy=energy,
    )


def _experiment(number: int) -> PlannedExperiment:
    return PlannedExperiment(
        label=f"point {number}",
        config={"model": "m"},
        measurement_config_hash=f"{number:016x}",
        environment=None,
        varied={"n": number},
        backend=BackendChoice("simulated"),
        concurrency=number + 1,
        model=ModelRef("m", "/nowhere", "directory"),
        precision="as_stored",
        device="cpu",
        runner="local",
        inputs="in",
        n=4,
        seed=42,
        decoder=Decoder(),
        protocol=Protocol(),
        metering=Metering(),
        limits=Limits(),
    )
