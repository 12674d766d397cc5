"""From one configuration and the facts of this machine to an experiment that can run. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.config import backend_section
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import digest
from llenergymeasure.config.settings import Place
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.codec import encode
from llenergymeasure.model.job import (
    BackendChoice,
    Decoder,
    Limits,
    Lora,
    Metering,
    ModelRef,
    PowerKnobs,
    Protocol,
    WarmupProtocol,
    WindowProtocol,
)
from llenergymeasure.plan.forecast_time import EarlierTrial, Work, time_limit_s
from llenergymeasure.plan.plan import PlannedExperiment

if TYPE_CHECKING:
    from llenergymeasure.model.event import Found

# The best device that is there is the one that works.
_DEVICES = ("cuda", "xpu", "mps", "cpu")

# Where no interval is asked for, drift is held against this one (measurement protocol, "steady").
_USUAL_TARGET = 0.02

# --quick: other defaults. What a configuration says itself wins.
_QUICK_WINDOW_S, _QUICK_AT_MOST_S, _QUICK_WARMUP = 3.0, 20.0, 2

# Power after work is read for at least this long.
_QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class PointFacts:
    """What was found out for one experiment: the engine, the model as that engine opens it, and its inputs.

    Tokens are those expected of a request, on average.
    """

    found: Found
    place: Place
    model: ModelRef
    inputs: str
    input_tokens: float
    output_tokens: float
    measurement_config_hash: str
    draft_model: ModelRef | None = None
    lora: Lora | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What holds for every experiment on this machine. ``metered``: a real sensor reads, so idles are worth their time.

    ``earlier`` trials tell after what time one like them is given up.
    """

    native_bf16: bool
    sources: tuple[str, ...]
    metered: bool
    sampling_hz: float | None = None
    silence_seconds: Mapping[str, float] | None = None
    earlier: Sequence[EarlierTrial] = ()


def choose_backend(config: ExperimentConfig, present: Sequence[str], preferred: str) -> str:
    """The backend of a configuration that names none, among those present.

    One that opens the model's format as it is comes before one that converts it; of several that open a directory only
    ``preferred`` is taken unasked. Raises ``ConfigError`` that lists what is there.
    """
    specs = {name: backend_section.spec_of(name) for name in present}
    gguf = is_gguf(config.model)
    able = [name for name, spec in specs.items() if ("gguf" if gguf else "directory") in spec.formats]
    able = able or [name for name, spec in specs.items() if gguf and spec.converts_gguf]
    able = [name for name in able if name in config.sections] or able
    if len(able) == 1 or (able and (gguf or able[0] == preferred)):
        return able[0]
    listed = ", ".join(present) or "none"
    raise ConfigError(f"no backend is given and none can be chosen (engines here: {listed})", hint="name one with -b")


def first_of_each(identities: Iterable[Hashable]) -> tuple[int, ...]:
    """Places of those that are not equal to an earlier one."""
    places: dict[Hashable, int] = {}
    for place, identity in enumerate(identities):
        places.setdefault(identity, place)
    return tuple(places.values())


def device_of(config: ExperimentConfig, found: Found) -> str:
    """The device that ``auto`` stands for."""
    if config.device != "auto":
        return config.device
    return next((device for device in _DEVICES if device in found.devices), "cpu")


def precision_of(config: ExperimentConfig, spec: BackendSpec, model: ModelRef, device: str, native_bf16: bool) -> str:
    """The precision of a configuration without one: quantised weights stay as stored, others are bf16 where it is native."""
    if config.precision is not None:
        return config.precision
    if spec.precisions == ("as_stored",) or (model.quantised and "as_stored" in spec.precisions):
        return "as_stored"
    if device == "cpu" and not native_bf16:
        return "fp32" if "fp32" in spec.precisions else "bf16"
    return "bf16"


def context_limit(model: ModelRef) -> int | None:
    """Tokens of input and output together that a model holds."""
    return None if model.architecture is None else model.architecture.context_limit


def inputs_name(config: ExperimentConfig, model: ModelRef, dataset_sha256: str, tokenizer: str, n_warmup: int) -> str:
    """Names prepared inputs by everything that decides which ids they hold."""
    return digest(
        {
            "model": [model.name, model.revision, model.weights_sha256, config.model],
            "dataset": dataset_sha256,
            "n": [config.n, n_warmup],
            "order": [config.dataset_order, config.random_seed],
            "format": config.prompt_format,
            "limit": [config.max_input_tokens, context_limit(model)],
            "max_new_tokens": config.decoder.max_new_tokens,
            "tokenizer": [tokenizer, model.has_tokenizer],
        }
    )


def resolve(
    config: ExperimentConfig,
    varied: Mapping[str, object],
    facts: PointFacts,
    host: HostFacts,
    *,
    quick: bool,
    run_seconds: float | None,
    target_rel_ci: float | None = None,
) -> PlannedExperiment:
    """The experiment as it will run. ``config`` has its backend.

    ``run_seconds`` is the limit that the study sets, if any; ``target_rel_ci`` the half-width of the interval that it wants.
    """
    assert config.backend is not None
    spec = backend_section.spec_of(config.backend)
    device = device_of(config, facts.found)
    precision = precision_of(config, spec, facts.model, device, host.native_bf16)
    options = config.section(config.backend) or spec.options()
    concurrency = getattr(options, spec.concurrency_option) or 1
    protocol = protocol_of(config, host.metered, quick, target_rel_ci)
    if run_seconds is None:
        work = Work(
            model=config.model,
            backend=config.backend,
            precision=precision,
            concurrency=concurrency,
            n=config.n,
            input_tokens=facts.input_tokens,
            output_tokens=facts.output_tokens,
            protocol=protocol,
        )
        run_seconds = time_limit_s(work, host.earlier)
    silence = {**Limits().silence_seconds, **(host.silence_seconds or {})}
    return PlannedExperiment(
        label=label(config, precision, concurrency, varied),
        config=config.resolved(),
        measurement_config_hash=facts.measurement_config_hash,
        environment=config.environment,
        varied={key: encode(value) for key, value in varied.items()},
        backend=BackendChoice(config.backend, backend_section.effective(options)),
        concurrency=concurrency,
        model=facts.model,
        precision=precision,
        device=device,
        runner=facts.place.at,
        inputs=facts.inputs,
        n=config.n,
        seed=config.random_seed,
        decoder=_decoder(config),
        protocol=protocol,
        metering=Metering(host.sources, host.sampling_hz),
        limits=Limits(run_seconds=run_seconds, silence_seconds=silence),
        weights=config.weights,
        draft_model=facts.draft_model,
        lora=facts.lora,
        cold_start=config.cold_start,
        power=power_knobs(config),
        trust_remote_code=config.trust_remote_code,
    )


def label(
    config: ExperimentConfig, precision: str, concurrency: int, varied: Mapping[str, object] = MappingProxyType({})
) -> str:
    """``smollm2-135m / pytorch / bf16 / 8 parallel``, then what else the study varies: ``/ max_new_tokens 32``."""
    assert config.backend is not None
    batch = f"{config.backend}.{backend_section.spec_of(config.backend).concurrency_option}"
    said = {"model", "backend", "precision", batch}
    rest = [f"{key.rpartition('.')[2]} {_word(value)}" for key, value in varied.items() if key not in said]
    parts = (short_name(config.model), config.backend, precision.replace("_", " "), f"{concurrency} parallel", *rest)
    return " / ".join(parts)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "default" if value is None else str(value)


def short_name(model: str) -> str:
    """The last part of a model's name, without ``builtin:`` and ``.gguf``."""
    last = model.rstrip("/").rpartition("/")[2]
    return last.removeprefix("builtin:").removeprefix("preset:").removesuffix(".gguf") or "model"


def power_knobs(config: ExperimentConfig) -> PowerKnobs | None:
    """What boards are held to; ``None`` when they are left as they are."""
    knobs = PowerKnobs(**config.power.model_dump()) if config.power is not None else PowerKnobs()
    return None if knobs == PowerKnobs() else knobs


def _decoder(config: ExperimentConfig) -> Decoder:
    return Decoder(**config.decoder.model_dump(exclude={"draft_model"}))


def protocol_of(config: ExperimentConfig, metered: bool, quick: bool, target_rel_ci: float | None = None) -> Protocol:
    """How rigorously. Nothing rests where nothing is metered, and no warm-up waits for power to be steady."""
    warmup, window, baseline = config.warmup, config.window, config.baseline
    strategy, n_warmup = warmup.strategy, warmup.n_warmup
    min_seconds, max_seconds = window.min_seconds, window.max_seconds
    if quick:
        if not warmup.model_fields_set & {"strategy", "n_warmup"}:
            strategy, n_warmup = "fixed", _QUICK_WARMUP
        if "min_seconds" not in window.model_fields_set:
            min_seconds = _QUICK_WINDOW_S if max_seconds is None else min(_QUICK_WINDOW_S, max_seconds)
        if "max_seconds" not in window.model_fields_set:
            max_seconds = max(_QUICK_AT_MOST_S, min_seconds)
    rest = baseline.enabled and metered
    return Protocol(
        warmup=WarmupProtocol(
            strategy,
            n_warmup,
            warmup.max_seconds,
            warmup.cv_target,
            power_drift=(target_rel_ci or _USUAL_TARGET) / 4 if metered and strategy == "steady" else None,
        ),
        window=WindowProtocol(min_seconds, max_seconds),
        idle_seconds=baseline.duration_seconds if rest and not quick else 0.0,
        idle_max_age_seconds=baseline.max_age_seconds,
        # A cold start has no moment between loading and work.
        idle_loaded_seconds=baseline.duration_seconds if rest and not config.cold_start else 0.0,
        quiet_seconds=_QUIET_S if metered else 0.0,
        preliminary=quick,
    )


def is_gguf(model: str) -> bool:
    """Whether a model's name stands for a GGUF file."""
    return model.endswith(".gguf") or model.startswith("builtin:")
