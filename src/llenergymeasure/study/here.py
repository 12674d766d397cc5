"""What a dry run knows of this machine, without a worker, a download or a conversion. Everything is looked at once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, TypeVar

from llenergymeasure import plugins
from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.backends.described import DescribedBackend
from llenergymeasure.backends.memory import PRECISION_BYTES
from llenergymeasure.config.expand import Point
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import measurement_config_hash
from llenergymeasure.config.settings import Place
from llenergymeasure.data.device_peaks import device_name, device_peaks
from llenergymeasure.datasets.lengths import TokenLengths, token_lengths
from llenergymeasure.datasets.resolve import file_of, open_dataset
from llenergymeasure.errors import EnergyError, LLEMError
from llenergymeasure.machine.installed import has_apple_gpu, installed_version
from llenergymeasure.machine.snapshot import cpu_model, native_bf16, visible_cpus
from llenergymeasure.meter.here import source_verdicts
from llenergymeasure.model.job import ModelRef
from llenergymeasure.model.machine import Gpu
from llenergymeasure.models.conversion import NeedsConversion, Unfit, model_for
from llenergymeasure.models.resolve import NotLocal, known_locally
from llenergymeasure.plan.forecast_time import Device, accelerator, cpu
from llenergymeasure.plan.resolve import choose_backend, is_gguf
from llenergymeasure.schema.dry_run import EngineOutlook
from llenergymeasure.study.energy import energy_in_words, energy_wish, reads_sensor
from llenergymeasure.study.memory import device_bytes, visible_boards
from llenergymeasure.study.options import WARMUP_PROMPTS, RunOptions

T = TypeVar("T")

# A dequantised GGUF is kept in this type.
_CONVERTED_BYTES = PRECISION_BYTES["fp32"]


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A model as a backend would open it; ``unknown`` says why nothing is known of it yet."""

    model: ModelRef
    unknown: str = ""


class Here:
    """The machine as far as it can be known at once."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._seen: dict[tuple[Any, ...], Any] = {}
        self._problems: list[str] = []
        self._places: dict[Place, None] = {}

    def with_backend(self, config: ExperimentConfig) -> ExperimentConfig:
        """The experiment with its backend written in. Raises ``ConfigError`` when none can be chosen."""
        if config.backend is not None:
            return config
        known = self._options.settings.values.environments.get(config.environment or "")
        backend = known.backend if known is not None else choose_backend(config, self._present(), self._names()[0])
        return config.with_backend(backend)

    def place(self, config: ExperimentConfig) -> Place:
        """Where the experiment would run. Raises ``ConfigError`` for an environment that is not known."""
        place = self._once(
            ("place", config.backend, config.environment),
            lambda: self._options.settings.place_of(str(config.backend), config.environment),
        )
        self._places[place] = None
        return place

    def opened(self, config: ExperimentConfig, spec: BackendSpec) -> Opened:
        """The model of an experiment, as its backend opens it."""
        packed = getattr(config.section(spec.name), "quantization", None) == "gguf"
        key = ("model", config.model, config.model_revision, config.weights, spec.name, packed)
        return self._once(key, lambda: self._opened(config, spec, packed=packed))

    def _opened(self, config: ExperimentConfig, spec: BackendSpec, *, packed: bool) -> Opened:
        key = ("found", config.model, config.model_revision, config.weights)
        found = self._once(key, lambda: self._found(config))
        if isinstance(found, NotLocal):
            self._problems += found.problems
            gguf = is_gguf(config.model)
            quantised = gguf and "gguf" in spec.formats
            return Opened(
                ModelRef(config.model, "", "gguf" if gguf else "directory", quantised=quantised), found.reason
            )
        form = model_for(spec, found, packed=packed)
        if isinstance(form, Unfit):
            self._problems.append(f"{form.reason} ({form.remedy})")
            return Opened(found, form.reason)
        if not isinstance(form, NeedsConversion):
            return Opened(form)
        shape = found.architecture
        size = None if shape is None else shape.parameters * _CONVERTED_BYTES
        return Opened(dataclasses.replace(found, format="directory", quantised=False, weight_bytes=size))

    def _found(self, config: ExperimentConfig) -> ModelRef | NotLocal:
        return known_locally(
            config.model, config.model_revision, base=self._options.base, weights=config.weights, network=False
        )

    def device(self, config: ExperimentConfig, spec: BackendSpec) -> str:
        """The device that ``auto`` would most likely stand for: the best that is here and that the backend knows."""
        if config.device != "auto":
            return config.device
        if "cuda" in spec.devices and self._gpus():
            return "cuda"
        return "mps" if "mps" in spec.devices and self._once(("apple",), has_apple_gpu) else "cpu"

    def available_bytes(self, device: str) -> tuple[int | None, str]:
        """(bytes that a worker can have there, why they are not known)."""
        return self._once(("memory", device), lambda: device_bytes(device, self._gpus()))

    def rates(self, device: str, precision: str) -> Device:
        """What a guess of time goes by."""
        if device == "cpu":
            return self._once(("cpu",), lambda: cpu(cpu_model(), visible_cpus()))
        board = next(iter(self._gpus()), None) if device == "cuda" else None
        peaks = None if board is None else device_peaks().get(device_name(board.name))
        if board is None or peaks is None:
            return Device(device if board is None else board.name, None, None)
        kind = precision if precision in peaks.flops_per_s else "bf16"
        return accelerator(board.name, peaks.bytes_per_s, peaks.flops_per_s.get(kind))

    def lengths(self, config: ExperimentConfig) -> TokenLengths:
        """How long prompts and answers will be."""
        key = ("lengths", repr(config.dataset), config.max_input_tokens, config.decoder.max_new_tokens, config.n)
        return self._once(
            key, lambda: token_lengths(config, base=self._options.base, prompts=config.n + WARMUP_PROMPTS)
        )

    def config_hash(self, config: ExperimentConfig, point: Point) -> str:
        """The hash of what is measured; a dataset file that cannot be read is a problem, and enters by its name."""
        sha256 = self._once(("data", repr(config.dataset)), lambda: self._sha256(config))
        if sha256 is None and config is point.config:
            return point.hash_as_written
        return measurement_config_hash(config, sha256)

    def _sha256(self, config: ExperimentConfig) -> str | None:
        if file_of(config.dataset, base=self._options.base) is None:
            return None
        try:
            return open_dataset(
                config.dataset, base=self._options.base, random_seed=0, n=1, default_max_new_tokens=1
            ).sha256
        except LLEMError as error:
            self._problems.append(f"{error} ({error.hint})" if error.hint else str(error))
            return None

    @property
    def native_bf16(self) -> bool:
        """Whether the CPU multiplies bf16 by itself."""
        return self._once(("bf16",), native_bf16)

    def energy(self, config: ExperimentConfig) -> tuple[str, bool]:
        """(what the meter would read, in words; whether a real sensor is among it)."""
        return self._once(("energy",), lambda: self._energy(config))

    def _energy(self, config: ExperimentConfig) -> tuple[str, bool]:
        wish = energy_wish(config, self._options.settings, self._options.energy_source)
        try:
            verdicts = source_verdicts(tuple(wish.split(",")))
        except EnergyError as error:
            self._problems.append(f"{error} ({error.hint})" if error.hint else str(error))
            return f"{wish} cannot be used here", False
        return energy_in_words(verdicts), reads_sensor(verdicts)

    def engines(self) -> tuple[EngineOutlook, ...]:
        """The engines of all experiments so far."""
        return tuple(self._engine(place) for place in self._places)

    def _engine(self, place: Place) -> EngineOutlook:
        name = place.environment or place.backend
        backend = plugins.load("backends", place.backend)
        if isinstance(backend, DescribedBackend):
            return EngineOutlook(backend=name, installed=False, detail="cannot be run by this version")
        if place.at != "local":
            return EngineOutlook(backend=name, installed=None, detail=f"runs in {place.at}, which is not looked into")
        version = installed_version(backend.spec)
        if version is None:
            missing = f"{backend.spec.engine} is not installed here ({backend.spec.remedy})"
            return EngineOutlook(backend=name, installed=False, detail=missing)
        return EngineOutlook(backend=name, installed=True, detail=f"{backend.spec.engine} {version}")

    def problems(self) -> tuple[str, ...]:
        """What would stop a run, as far as it was met."""
        missing = [f"{one.backend}: {one.detail}" for one in self.engines() if one.installed is False]
        return tuple(dict.fromkeys((*missing, *self._problems)))

    def _present(self) -> list[str]:
        return self._once(("present",), lambda: [name for name in self._names() if self._may_run(name)])

    def _may_run(self, name: str) -> bool:
        return self._engine(self._options.settings.place_of(name)).installed is not False

    def _names(self) -> tuple[str, ...]:
        return plugins.names("backends")

    def _gpus(self) -> tuple[Gpu, ...]:
        return self._once(("gpus",), lambda: visible_boards(os.environ))

    def _once(self, key: tuple[Any, ...], find: Callable[[], T]) -> T:
        if key not in self._seen:
            self._seen[key] = find()
        found: T = self._seen[key]
        return found
