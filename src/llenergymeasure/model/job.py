"""Jobs: what the host asks a worker, and the trial driver around it, to do. Written once as ``job.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from llenergymeasure.errors import LLEMError
from llenergymeasure.model.codec import CodecError, JsonValue, decode, from_line, to_line
from llenergymeasure.model.machine import Architecture, GitState
from llenergymeasure.model.mark import Interval

# Raised when a job or an event changes its meaning; host and worker refuse a partner of another version.
PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as one backend opens it: ``path`` is a directory or a GGUF file on the worker's machine.

    ``revision`` is the hub's commit; ``weights_sha256`` identifies local weights; ``weight_bytes`` is their size as stored
    (``None`` where none are); ``architecture_reason`` says why there is no ``architecture``.
    """

    name: str
    path: str
    format: Literal["directory", "gguf"]
    revision: str | None = None
    weights_sha256: str | None = None
    quantised: bool = False
    architecture: Architecture | None = None
    architecture_reason: str | None = None
    weight_bytes: int | None = None
    has_tokenizer: bool = True


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """Which engine, with which of its options. Options not given are the engine's own defaults."""

    name: str
    options: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoder:
    """How tokens are chosen and when a completion ends."""

    decoding_strategy: Literal["greedy", "sampling", "beam"] = "greedy"
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    repetition_penalty: float = 1.0
    num_beams: int | None = None
    max_new_tokens: int = 128
    min_new_tokens: int | None = None
    ignore_eos: bool = True
    speculative_decoding: bool = False


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA adapter in a directory, applied beside the weights or merged into them.

    ``revision`` is the hub's commit; ``sha256`` identifies a local adapter's weights.
    """

    name: str
    path: str
    merge_weights: bool = False
    revision: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class WarmupProtocol:
    """How the warm-up goes. ``n_warmup`` batches at least (``steady``) or exactly (``fixed``), ``max_seconds`` at most.

    ``power_drift`` is how far (relative) the energy of a window may still drift as the devices grow warmer, for power to count
    as steady; ``None`` where no power is read.
    """

    strategy: Literal["steady", "fixed", "none"] = "steady"
    n_warmup: int = 5
    max_seconds: float = 120.0
    cv_target: float = 0.05
    power_drift: float | None = None


@dataclass(frozen=True, slots=True)
class WindowProtocol:
    """Whole passes repeat until ``min_seconds``; nothing begins after ``max_seconds``."""

    min_seconds: float = 10.0
    max_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """How rigorously. Idle and quiet lengths are 0 where no sensor reads, which skips the step.

    ``idle_max_age_seconds``: idle power with nothing loaded that was measured no longer ago, on the same sensors, is used again.
    """

    warmup: WarmupProtocol = field(default_factory=WarmupProtocol)
    window: WindowProtocol = field(default_factory=WindowProtocol)
    idle_seconds: float = 0.0
    idle_loaded_seconds: float = 0.0
    quiet_seconds: float = 0.0
    preliminary: bool = False
    idle_max_age_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PowerKnobs:
    """What the boards that a trial may use are held to while it lasts. ``None``: as they are."""

    cap_w: float | None = None
    sm_clock_mhz: int | None = None
    mem_clock_mhz: int | None = None


@dataclass(frozen=True, slots=True)
class Metering:
    """Which energy sources the meter reads, and at most how often."""

    sources: tuple[str, ...] = ()
    sampling_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which the driver gives a trial up. ``None`` is no limit.

    ``silence_seconds`` counts, per phase, from the last event or stamp; ``grace_seconds`` is the time to finish a batch.
    """

    load_seconds: float = 1800.0
    run_seconds: float | None = 600.0
    silence_seconds: Mapping[str, float] = field(
        default_factory=lambda: {"load": 1800.0, "warmup": 600.0, "window": 300.0, "close": 120.0}
    )
    grace_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Site:
    """What a kilowatt hour means where the trial runs. ``None`` is not known: nothing is assumed.

    ``estimation_method`` says where the carbon intensity comes from; ``year`` is that of a table's mean; ``datacenter_pue`` the
    facility's energy over that of its computers; ``price`` is per kWh in ``currency``.
    """

    carbon_intensity_gco2_kwh: float | None = None
    estimation_method: Literal["user_specified", "region_table"] | None = None
    intensity_source: str | None = None
    region: str | None = None
    year: int | None = None
    datacenter_pue: float = 1.0
    price: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting of the host and where it came from."""

    key: str
    value: JsonValue
    origin: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Which trial of which study this is. ``config`` is the resolved experiment as a JSON object; cycles count from 0."""

    experiment_id: str
    trial: int
    cycle: int
    attempt: int
    measurement_config_hash: str
    study_design_hash: str | None
    environment: str | None
    config: Mapping[str, JsonValue]
    llenergymeasure_version: str


@dataclass(frozen=True, slots=True)
class TrialJob:
    """One trial, whole. ``inputs`` is the folder with the prepared ids; ``runner`` is where the worker runs."""

    identity: Identity
    backend: BackendChoice
    model: ModelRef
    precision: str
    device: str
    seed: int
    decoder: Decoder
    inputs: str
    n: int
    protocol: Protocol
    metering: Metering
    limits: Limits
    weights: Literal["real", "random"] = "real"
    draft_model: ModelRef | None = None
    lora: Lora | None = None
    cold_start: bool = False
    power: PowerKnobs | None = None
    trust_remote_code: bool = False
    site: Site = field(default_factory=Site)
    settings: tuple[Setting, ...] = ()
    study_git: GitState | None = None
    runner: str = "local"
    kind: Literal["trial"] = "trial"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class MeterJob:
    """Reads channels around code that is not a trial of ours."""

    metering: Metering
    kind: Literal["meter"] = "meter"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """Asks what is there of one backend."""

    backend: str
    kind: Literal["probe"] = "probe"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class PrepareJob:
    """Turns the prompts in ``prompts.json`` of its folder into token ids.

    The first ``n`` prompts are the window's; the rest, up to ``n_warmup`` of them, are the warm-up's. ``max_input_tokens`` cuts
    the content; so does what the model holds (``context_limit``) beside the prompt's own output, ``max_new_tokens`` unless it
    says another; what was cut is counted. ``tokenizer``: the model's own, or, for a model that has none, ids drawn from its
    vocabulary, which serve prompts of exact lengths only.
    """

    backend: str
    model: ModelRef
    n: int
    n_warmup: int
    max_input_tokens: int | None
    prompt_format: Literal["raw", "chat"] = "raw"
    max_new_tokens: int = 1
    context_limit: int | None = None
    tokenizer: Literal["model", "vocabulary"] = "model"
    trust_remote_code: bool = False
    kind: Literal["prepare"] = "prepare"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class ConvertJob:
    """Dequantises a GGUF file into a safetensors directory, in the backend's environment."""

    backend: str
    model: ModelRef
    destination: str
    kind: Literal["convert"] = "convert"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class ServeJob:
    """Opens the backend's own server and keeps it until SIGTERM."""

    backend: BackendChoice
    model: ModelRef
    precision: str
    device: str
    kind: Literal["serve"] = "serve"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class BusyJob:
    """Keeps all GPUs (``cuda``), or all CPUs, busy at the times that ``busy.json`` of its folder gives once it is there."""

    device: Literal["cuda", "cpu"]
    kind: Literal["busy"] = "busy"
    protocol_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class BusyTimes:
    """``busy.json``: when to work, on the monotonic clock, in order of time."""

    at: tuple[Interval, ...]


Job = TrialJob | MeterJob | ProbeJob | PrepareJob | ConvertJob | ServeJob | BusyJob
_JOBS: dict[str, type[Any]] = {cls.__dataclass_fields__["kind"].default: cls for cls in get_args(Job)}


def read_job(path: Path) -> Job:
    """The job in ``path``. Raises ``LLEMError`` naming the file when it is not one this version can run."""
    try:
        value = from_line(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise CodecError("not a JSON object")
        version, kind = value.get("protocol_version"), value.get("kind")
        if version != PROTOCOL_VERSION:
            raise CodecError(f"protocol version {version}, this program speaks {PROTOCOL_VERSION}")
        if not isinstance(kind, str) or kind not in _JOBS:
            raise CodecError(f"job kind {kind!r} is not one of {', '.join(_JOBS)}")
        job: Job = decode(_JOBS[kind], value)
        return job
    except (OSError, ValueError) as error:
        raise LLEMError(f"{path}: not a job: {error}") from error


def job_text(job: Job) -> str:
    """``job.json`` of a job."""
    return to_line(job)
