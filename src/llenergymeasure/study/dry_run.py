"""A study as it would run: planned and forecast from what is here, with nothing fetched, converted, started or written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llenergymeasure.backends.memory import MemoryNeed, Workload
from llenergymeasure.config import backend_section
from llenergymeasure.config.expand import Point
from llenergymeasure.config.hashing import study_design_hash
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.model.codec import encode
from llenergymeasure.models.cache import use_hub_cache
from llenergymeasure.plan.forecast import MemoryForecast, forecast_memory, totals
from llenergymeasure.plan.forecast_time import EarlierTrial, TimeForecast, Work, forecast_time, time_limit_s
from llenergymeasure.plan.order import order
from llenergymeasure.plan.resolve import first_of_each, label, precision_of, protocol_of
from llenergymeasure.schema.dry_run import DryRun, MemoryOutlook, PlannedPoint, TimeOutlook, TotalsOutlook
from llenergymeasure.schema.skipped import SkippedPoint
from llenergymeasure.store.earlier import earlier_trials
from llenergymeasure.study.execution import equal_once_resolved, execution_of, no_valid_point, skipped_points
from llenergymeasure.study.here import Here
from llenergymeasure.study.options import RunOptions
from llenergymeasure.study.power import power_notice, power_problems


def dry_run(study: StudyConfig, options: RunOptions, results_dir: Path) -> DryRun:
    """The plan of a study with its forecasts. Raises ``ConfigError`` when no point is valid."""
    use_hub_cache(options.settings.values.output.model_cache_dir)
    expansion = study.expansion
    if not expansion.points:
        raise no_valid_point(study)
    here = Here(options)
    earlier = earlier_trials(results_dir)
    every = [_Point(point, here, options) for point in expansion.points]
    points = [every[place] for place in first_of_each(point.identity for point in every)]
    equal = len(every) - len(points)
    merged_notice = (equal_once_resolved(equal),) if equal else ()
    works = [point.work() for point in points]
    times = [point.time(work, earlier) for point, work in zip(points, works, strict=True)]
    asked_s = study.execution.trial_timeout_seconds
    limits_s = [time_limit_s(work, earlier) if asked_s is None else asked_s for work in works]
    planned = tuple(point.planned(time, limit_s) for point, time, limit_s in zip(points, times, limits_s, strict=True))
    design = study_design_hash(point.identity for point in points)
    execution = execution_of(study, options, design)
    trials = order(len(points), execution.n_cycles, execution.cycle_order, execution.order_seed)
    whole = totals(
        times,
        execution.n_cycles,
        config_gap_seconds=execution.config_gap_seconds,
        cycle_gap_seconds=execution.cycle_gap_seconds,
    )
    on = [(point.config, found.device) for point, found in zip(points, planned, strict=True)]
    return DryRun(
        name=study.name,
        generated=len(every) + len(expansion.skipped) + expansion.merged,
        merged=expansion.merged + equal,
        skipped=tuple(SkippedPoint(label=left.label, reason=left.reason) for left in skipped_points(expansion.skipped)),
        points=planned,
        cycles=execution.n_cycles,
        cycle_order=execution.cycle_order,
        order_seed=execution.order_seed,
        order=tuple((trial.point, trial.cycle) for trial in trials),
        energy=here.energy(points[0].config)[0],
        engines=here.engines(),
        totals=TotalsOutlook(
            seconds=whole.seconds,
            joules=whole.joules,
            untimed_trials=whole.untimed,
            trials_without_joules=whole.unmetered,
        ),
        problems=(*here.problems(), *power_problems(on, ask=False)),
        notices=(*expansion.notices, *merged_notice, *power_notice(config for config, _ in on)),
    )


class _Point:
    """One experiment with what is known of it."""

    def __init__(self, point: Point, here: Here, options: RunOptions) -> None:
        self.config = config = here.with_backend(point.config)
        self._varied = point.varied
        self._here = here
        self._quick = options.quick
        self._place = here.place(config)
        spec = backend_section.spec_of(self._place.backend)
        self._options = config.section(spec.name) or spec.options()
        self._concurrency = getattr(self._options, spec.concurrency_option) or 1
        self._device = here.device(config, spec)
        self._opened = here.opened(config, spec)
        self._precision = precision_of(config, spec, self._opened.model, self._device, here.native_bf16)
        self._lengths = here.lengths(config)
        self._memory = self._forecast_memory()
        self._hash = here.config_hash(config, point)

    def _forecast_memory(self) -> MemoryForecast:
        available, no_memory = self._here.available_bytes(self._device)
        if self._opened.unknown:
            return MemoryForecast("unknown", available_bytes=available, reason=self._opened.unknown)
        shape = self._opened.model.architecture
        longest_input, longest_output = self._lengths.longest_input, self._lengths.longest_output
        if shape is not None:
            longest_input = max(1, min(longest_input, shape.context_limit - longest_output))
        config = self.config
        workload = Workload(
            model=self._opened.model,
            weights=config.weights,
            precision=self._precision,
            device=self._device,
            options=self._options,
            sequences=min(self._concurrency, config.n) * (config.decoder.num_beams or 1),
            input_tokens=longest_input,
            output_tokens=longest_output,
            drafting=config.decoder.draft_model is not None,
        )
        return forecast_memory(backend_section.spec_of(self._place.backend), workload, available, no_memory)

    @property
    def identity(self) -> tuple[str, str | None]:
        """What it is inside its study."""
        return self._hash, self.config.environment

    def work(self) -> Work:
        """One trial as far as its time depends on it."""
        config, need = self.config, self._memory.need
        return Work(
            model=config.model,
            backend=self._place.backend,
            precision=self._precision,
            concurrency=self._concurrency,
            n=config.n,
            input_tokens=self._lengths.mean_input,
            output_tokens=self._lengths.mean_output,
            protocol=protocol_of(config, self._here.energy(config)[1], self._quick),
            cold_start=config.cold_start,
            architecture=self._opened.model.architecture,
            weight_bytes=None if need is None else need.weights_bytes,
            kv_bytes=0 if need is None else need.kv_bytes,
        )

    def time(self, work: Work, earlier: Sequence[EarlierTrial]) -> TimeForecast:
        """How long one trial takes."""
        return forecast_time(work, earlier, self._here.rates(self._device, self._precision))

    def planned(self, time: TimeForecast, limit_s: float | None) -> PlannedPoint:
        """The experiment as the document has it."""
        return PlannedPoint(
            label=label(self.config, self._precision, self._concurrency, self._varied),
            measurement_config_hash=self._hash,
            environment=self.config.environment,
            varied={key: encode(value) for key, value in self._varied.items()},
            backend=self._place.backend,
            precision=self._precision,
            device=self._device,
            concurrency=self._concurrency,
            prompts=self._lengths.basis,
            memory=_memory_outlook(self._memory),
            time=TimeOutlook(
                seconds=time.seconds,
                joules=time.joules,
                basis=time.basis,
                guessed=time.guessed,
                joules_reason=time.joules_reason or None,
                limit_seconds=limit_s,
            ),
        )


def _memory_outlook(forecast: MemoryForecast) -> MemoryOutlook:
    need: MemoryNeed | None = forecast.need
    parts = {} if need is None else {name: getattr(need, name) for name in _PARTS}
    return MemoryOutlook(
        verdict=forecast.verdict, available_bytes=forecast.available_bytes, reason=forecast.reason or None, **parts
    )


_PARTS = ("peak_bytes", "engine_bytes", "weights_bytes", "kv_bytes", "working_bytes", "loading_bytes")
