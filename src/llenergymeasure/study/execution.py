"""How often and in which order a study's trials run, and which of its points do not: for the plan and for a dry run."""

from __future__ import annotations

from collections.abc import Sequence

from llenergymeasure.config.expand import Skipped
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.errors import ConfigError
from llenergymeasure.plan.plan import FIRST_STAGE_CYCLES, Execution, SkippedPoint
from llenergymeasure.schema.numbers import counted
from llenergymeasure.study.options import RunOptions


def execution_of(study: StudyConfig, options: RunOptions, design: str) -> Execution:
    """What the study asks for; the machine's pauses where it asks for none, and a seed from ``design``, its hash."""
    asked = study.execution
    pauses = options.settings.values.execution.model_copy(
        update={name: getattr(asked, name) for name in asked.model_fields_set if name.endswith("_gap_seconds")}
    )
    cycles = 1 if options.quick and "n_cycles" not in asked.model_fields_set else asked.n_cycles
    if asked.target_rel_ci is not None:
        cycles = max(cycles, FIRST_STAGE_CYCLES)
    return Execution(
        n_cycles=cycles,
        cycle_order=asked.cycle_order,
        order_seed=asked.order_seed if asked.order_seed is not None else int(design[:8], 16),
        config_gap_seconds=pauses.config_gap_seconds,
        cycle_gap_seconds=pauses.cycle_gap_seconds,
        max_seconds=asked.max_seconds,
        max_consecutive_failures=asked.max_consecutive_failures,
        target_rel_ci=asked.target_rel_ci,
        max_cycles=max(asked.max_cycles, cycles),
    )


def skipped_points(points: Sequence[Skipped]) -> tuple[SkippedPoint, ...]:
    """The points that are not valid, by what is their own."""
    return tuple(SkippedPoint(_name(point), point.reason) for point in points)


def equal_once_resolved(count: int) -> str:
    """What to say of points that were written differently and are the same measurement."""
    return f"{counted(count, 'point')} merged: equal to an earlier one once engine and data are known"


def no_valid_point(study: StudyConfig) -> ConfigError:
    """What to say of a study none of whose points can run."""
    reasons = "\n".join(f"  - {_name(point)}: {point.reason}" for point in study.expansion.skipped)
    return ConfigError(f"no valid experiment in {study.name}:\n{reasons}", hint="correct the points listed")


def _name(point: Skipped) -> str:
    return ", ".join(f"{key}={value}" for key, value in point.varied.items()) or "the experiment"
