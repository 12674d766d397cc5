"""Find out what a plan needs to know of this machine: engines, models, data, sensors. Every problem, not the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.expand import Point
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import measurement_config_hash
from llenergymeasure.config.settings import Settings
from llenergymeasure.datasets.contract import Dataset
from llenergymeasure.datasets.resolve import choose, file_of, open_dataset
from llenergymeasure.errors import ConfigError, EnergyError, LLEMError, PreFlightError
from llenergymeasure.machine.engines import probe_all
from llenergymeasure.machine.snapshot import native_bf16
from llenergymeasure.meter.here import source_verdicts
from llenergymeasure.model.event import Found, Missing
from llenergymeasure.model.inputs import Prompts
from llenergymeasure.model.job import ModelRef, PrepareJob
from llenergymeasure.model.reading import SourceVerdict
from llenergymeasure.models.adapters import find_adapter
from llenergymeasure.models.progress import Say
from llenergymeasure.models.resolve import find_model
from llenergymeasure.plan.resolve import HostFacts, PointFacts, choose_backend, context_limit, inputs_name
from llenergymeasure.study.convert import as_opened
from llenergymeasure.study.options import RunOptions

# Sources with nothing behind them that has an idle of its own.
_NO_SENSOR = ("estimate", "none")

# Warm-up prompts prepared beside the window's; fewer batches than this are rarely needed before it is steady.
_WARMUP_PROMPTS = 64


@dataclass(frozen=True, slots=True)
class InputsWanted:
    """One set of inputs to prepare: which prompts, by which tokenizer."""

    name: str
    job: PrepareJob
    prompts: Prompts


@dataclass(frozen=True, slots=True)
class Gathered:
    """All facts for a plan: one entry a point in ``facts`` and ``configs``, and the inputs that they share.

    ``energy`` says in words what the meter will read.
    """

    host: HostFacts
    energy: str
    configs: tuple[ExperimentConfig, ...]
    facts: tuple[PointFacts, ...]
    inputs: tuple[InputsWanted, ...]


def gather(points: Sequence[Point], options: RunOptions, say: Say) -> Gathered:
    """The facts for these points. Raises ``PreFlightError`` with everything that is missing."""
    return _Gathering(points, options, say).run()


class _Gathering:
    """Collects problems on the way; each engine, model and dataset is looked at once."""

    def __init__(self, points: Sequence[Point], options: RunOptions, say: Say) -> None:
        self._points = points
        self._options = options
        self._say = say
        self._problems: list[str] = []
        self._models: dict[tuple[str, str | None, str], ModelRef | None] = {}
        self._datasets: dict[str, Dataset | None] = {}
        self._inputs: dict[str, InputsWanted] = {}
        self._energy = ""

    def run(self) -> Gathered:
        found = self._engines()
        host = self._host()
        configs = [config for point in self._points if (config := self._with_backend(point.config, found)) is not None]
        facts = [self._facts(config, found, configs) for config in configs]
        if self._problems:
            raise PreFlightError(tuple(dict.fromkeys(self._problems)))
        whole = tuple(fact for fact in facts if fact is not None)
        return Gathered(host, self._energy, tuple(configs), whole, tuple(self._inputs.values()))

    def _engines(self) -> dict[str, Found]:
        """Those named, or every one there is when a point names none."""
        named = [point.config.backend for point in self._points]
        asked = [name for name in dict.fromkeys(named) if name is not None] if None not in named else None
        wanted = list(plugins.names("backends")) if asked is None else asked
        self._say(f"looking for {', '.join(wanted)}")
        answers = probe_all(wanted, self._runners())
        for answer in answers.values():
            if isinstance(answer, Missing) and answer.backend in named:
                self._problems.append(f"{answer.backend}: {answer.reason}" + _remedy(answer.remedy))
        return {name: answer for name, answer in answers.items() if isinstance(answer, Found)}

    def _runners(self) -> Mapping[str, str]:
        return self._options.settings.values.runners

    def _host(self) -> HostFacts:
        advanced = self._options.settings.values.advanced
        sources, metered = self._sources()
        return HostFacts(
            native_bf16(),
            sources,
            metered,
            self._runners(),
            advanced.sampling_hz,
            {str(phase): seconds for phase, seconds in advanced.silence_seconds.items()},
        )

    def _sources(self) -> tuple[tuple[str, ...], bool]:
        """What the meter is asked to read, and whether a real sensor is among what it will choose."""
        wishes = {
            energy_wish(point.config, self._options.settings, self._options.energy_source) for point in self._points
        }
        if len(wishes) > 1:
            self._problems.append(f"one study reads one energy source, not {', '.join(sorted(wishes))}")
            return (), False
        try:
            wish = tuple(wishes.pop().split(","))
            verdicts = source_verdicts(wish)
        except EnergyError as error:
            self._problems.append(str(error) + _remedy(error.hint))
            return (), False
        self._energy = energy_in_words(verdicts)
        return wish, any(verdict.chosen and verdict.source not in _NO_SENSOR for verdict in verdicts)

    def _with_backend(self, config: ExperimentConfig, found: Mapping[str, Found]) -> ExperimentConfig | None:
        try:
            if config.backend is None:
                config = config.with_backend(choose_backend(config, list(found), plugins.names("backends")[0]))
                self._say(f"backend not given: {config.backend} chosen")
            return config
        except ConfigError as error:
            self._problems.append(str(error) + _remedy(error.hint))
        except ValueError as error:  # pydantic: the chosen backend does not support what is asked
            self._problems.append(str(error))
        return None

    def _facts(
        self, config: ExperimentConfig, found: Mapping[str, Found], configs: Iterable[ExperimentConfig]
    ) -> PointFacts | None:
        assert config.backend is not None
        engine = found.get(config.backend)
        stored = self._model(config.model, config.model_revision, config.weights)
        dataset = self._dataset(config)
        if engine is None or stored is None or dataset is None:
            return None
        try:
            at = self._options.settings.runner_of(config.backend)
            packed = getattr(config.section(config.backend), "quantization", None) == "gguf"
            model = as_opened(stored, config.backend, at, self._say, packed=packed)
            draft = config.decoder.draft_model
            draft_stored = self._model(draft, None, "real") if draft is not None else None
            draft_model = draft_stored and as_opened(draft_stored, config.backend, at, self._say, packed=packed)
            adapter = config.lora
            lora = None if adapter is None else find_adapter(adapter, base=self._options.base, say=self._say)
            tokenizer = _tokenizer_backend(config, found, configs)
            inputs = self._wanted(config, stored, dataset, tokenizer)
        except LLEMError as error:
            self._problems.append(f"{config.model} for {config.backend}: {error}" + _remedy(error.hint))
            return None
        in_file = file_of(config.dataset, base=self._options.base) is not None
        config_hash = measurement_config_hash(config, dataset.sha256 if in_file else None)
        return PointFacts(engine, model, inputs, config_hash, draft_model, lora)

    def _model(self, name: str, revision: str | None, weights: str) -> ModelRef | None:
        key = (name, revision, weights)
        if key not in self._models:
            try:
                self._models[key] = find_model(
                    name,
                    revision,
                    base=self._options.base,
                    weights="random" if weights == "random" else "real",
                    say=self._say,
                )
            except LLEMError as error:
                self._problems.append(str(error) + _remedy(error.hint))
                self._models[key] = None
        return self._models[key]

    def _dataset(self, config: ExperimentConfig) -> Dataset | None:
        key = f"{config.dataset!r}:{config.random_seed}:{config.n}:{config.decoder.max_new_tokens}"
        if key not in self._datasets:
            try:
                self._datasets[key] = open_dataset(
                    config.dataset,
                    base=self._options.base,
                    random_seed=config.random_seed,
                    n=config.n,
                    default_max_new_tokens=config.decoder.max_new_tokens,
                )
            except LLEMError as error:
                self._problems.append(str(error) + _remedy(error.hint))
                self._datasets[key] = None
        return self._datasets[key]

    def _wanted(self, config: ExperimentConfig, stored: ModelRef, dataset: Dataset, tokenizer: str) -> str:
        name = inputs_name(config, stored, dataset.sha256, tokenizer, _WARMUP_PROMPTS)
        if name not in self._inputs:
            prompts = choose(dataset, config.n, config.dataset_order, config.random_seed, _WARMUP_PROMPTS)
            if not stored.has_tokenizer and any(prompt.exact_tokens is None for prompt in prompts.prompts):
                raise ConfigError(
                    f"{stored.name} has no tokenizer, so text cannot become its tokens",
                    hint="dataset: synthetic, whose prompts are made of ids of the vocabulary",
                )
            job = PrepareJob(
                backend=tokenizer,
                model=stored,
                n=config.n,
                n_warmup=len(prompts.prompts) - config.n,
                max_input_tokens=config.max_input_tokens,
                prompt_format=config.prompt_format,
                max_new_tokens=config.decoder.max_new_tokens,
                context_limit=context_limit(stored),
                tokenizer="model" if stored.has_tokenizer else "vocabulary",
                trust_remote_code=config.trust_remote_code,
            )
            self._inputs[name] = InputsWanted(name, job, prompts)
        return name


def energy_in_words(verdicts: Sequence[SourceVerdict]) -> str:
    """``nvml, 1 × NVIDIA H100 (gpu): energy counter``: the sources that will be read, or that none is."""
    chosen = [f"{verdict.source}, {verdict.reason}" for verdict in verdicts if verdict.chosen]
    return "; ".join(chosen) or "nothing can be read: joules will be missing"


def energy_wish(config: ExperimentConfig, settings: Settings, flag: str | None) -> str:
    """The energy source asked for: flag, else file, else variable or user configuration."""
    if flag is not None:
        return flag
    if "source" in config.energy.model_fields_set:
        return config.energy.source
    return settings.values.measurement.energy_source


def _tokenizer_backend(
    config: ExperimentConfig, found: Mapping[str, Found], configs: Iterable[ExperimentConfig]
) -> str:
    """The backend that makes the ids: of those that the study uses with this model, the one whose tokenizer ranks first."""
    used = {other.backend for other in configs if other.model == config.model and other.backend in found}
    return min((name for name in used if name), key=lambda name: backend_section.spec_of(name).tokenizer_rank)


def _remedy(hint: str) -> str:
    return f" ({hint})" if hint else ""
