"""Find out what a plan needs to know of this machine: engines, models, data, sensors. Every problem, not the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.expand import Point
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.hashing import measurement_config_hash
from llenergymeasure.config.settings import Place
from llenergymeasure.datasets.contract import Dataset
from llenergymeasure.datasets.lengths import TokenLengths, token_lengths
from llenergymeasure.datasets.resolve import choose, file_of, open_dataset
from llenergymeasure.errors import ConfigError, EnergyError, LLEMError, PreFlightError
from llenergymeasure.machine.engines import probe_all
from llenergymeasure.machine.snapshot import native_bf16
from llenergymeasure.meter.here import source_verdicts
from llenergymeasure.model.event import Found, Missing
from llenergymeasure.model.inputs import Prompts
from llenergymeasure.model.job import ModelRef, PrepareJob
from llenergymeasure.models.adapters import find_adapter
from llenergymeasure.models.progress import Say
from llenergymeasure.models.resolve import find_model
from llenergymeasure.plan.resolve import HostFacts, PointFacts, choose_backend, context_limit, device_of, inputs_name
from llenergymeasure.store.earlier import earlier_trials
from llenergymeasure.study.convert import as_opened
from llenergymeasure.study.energy import energy_in_words, energy_wish, reads_sensor
from llenergymeasure.study.options import WARMUP_PROMPTS, RunOptions
from llenergymeasure.study.power import power_problems


@dataclass(frozen=True, slots=True)
class InputsWanted:
    """One set of inputs to prepare: which prompts, by which tokenizer, and where its backend runs."""

    name: str
    job: PrepareJob
    prompts: Prompts
    at: str


@dataclass(frozen=True, slots=True)
class Use:
    """A model and a place where the study runs it."""

    model: str
    place: Place


@dataclass(frozen=True, slots=True)
class Gathered:
    """All facts for a plan: one entry a point in ``facts`` and ``configs``, and the inputs that they share.

    ``energy`` says in words what the meter will read; ``engines`` holds versions by the name of the backend or environment.
    """

    host: HostFacts
    energy: str
    engines: Mapping[str, str]
    configs: tuple[ExperimentConfig, ...]
    facts: tuple[PointFacts, ...]
    inputs: tuple[InputsWanted, ...]


def gather(points: Sequence[Point], options: RunOptions, results_dir: Path, say: Say) -> Gathered:
    """The facts for these points. Raises ``PreFlightError`` with everything that is missing."""
    return _Gathering(points, options, results_dir, say).run()


class _Gathering:
    """Collects problems on the way; each engine, model and dataset is looked at once."""

    def __init__(self, points: Sequence[Point], options: RunOptions, results_dir: Path, say: Say) -> None:
        self._points = points
        self._options = options
        self._results_dir = results_dir
        self._settings = options.settings
        self._say = say
        self._problems: list[str] = []
        self._models: dict[tuple[str, str | None, str], ModelRef | None] = {}
        self._datasets: dict[str, Dataset | None] = {}
        self._inputs: dict[str, InputsWanted] = {}
        self._known_lengths: dict[str, TokenLengths] = {}
        self._energy = ""

    def run(self) -> Gathered:
        placed = [self._placed(point.config) for point in self._points]
        found = self._engines([one for one in placed if one is not None])
        host = self._host()
        configs = [
            chosen for one in placed if one is not None and (chosen := self._with_backend(one, found)) is not None
        ]
        places = [self._settings.place_of(str(config.backend), config.environment) for config in configs]
        uses = [Use(config.model, place) for config, place in zip(configs, places, strict=True)]
        facts = [self._facts(config, place, found, uses) for config, place in zip(configs, places, strict=True)]
        placed_on = zip(configs, places, strict=True)
        on = [(config, device_of(config, found[place])) for config, place in placed_on if place in found]
        self._problems += power_problems(on, ask=True)
        if self._problems:
            raise PreFlightError(tuple(dict.fromkeys(self._problems)))
        whole = tuple(fact for fact in facts if fact is not None)
        engines = {place.environment or place.backend: found[place].version for place in dict.fromkeys(places)}
        return Gathered(host, self._energy, engines, tuple(configs), whole, tuple(self._inputs.values()))

    def _placed(self, config: ExperimentConfig) -> ExperimentConfig | None:
        """With the backend that its environment holds; ``None`` when there is no such environment."""
        if config.environment is None:
            return config
        known = self._settings.values.environments.get(config.environment)
        try:
            backend = config.backend or (known.backend if known is not None else "")
            self._settings.place_of(backend, config.environment)
            return config if config.backend is not None else config.with_backend(backend)
        except ConfigError as error:
            self._problems.append(str(error) + _remedy(error.hint))
        except ValueError as error:  # pydantic: the environment's backend does not support what is asked
            self._problems.append(str(error))
        return None

    def _engines(self, configs: Sequence[ExperimentConfig]) -> dict[Place, Found]:
        """Those named, or every one there is when a point names none."""
        asked = [self._settings.place_of(one.backend, one.environment) for one in configs if one.backend is not None]
        any_will_do = any(one.backend is None for one in configs)
        others = [self._settings.place_of(name) for name in plugins.names("backends")] if any_will_do else []
        places = list(dict.fromkeys((*asked, *others)))
        self._say(f"looking for {', '.join(place.environment or place.backend for place in places)}")
        answers = probe_all(places)
        for place, answer in answers.items():
            if isinstance(answer, Missing) and place in asked:
                self._problems.append(f"{place.environment or place.backend}: {answer.reason}" + _remedy(answer.remedy))
        return {place: answer for place, answer in answers.items() if isinstance(answer, Found)}

    def _host(self) -> HostFacts:
        advanced = self._settings.values.advanced
        sources, metered = self._sources()
        return HostFacts(
            native_bf16(),
            sources,
            metered,
            advanced.sampling_hz,
            {str(phase): seconds for phase, seconds in advanced.silence_seconds.items()},
            earlier_trials(self._results_dir),
        )

    def _sources(self) -> tuple[tuple[str, ...], bool]:
        """What the meter is asked to read, and whether a real sensor is among what it will choose."""
        wishes = {energy_wish(point.config, self._settings, self._options.energy_source) for point in self._points}
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
        return wish, reads_sensor(verdicts)

    def _with_backend(self, config: ExperimentConfig, found: Iterable[Place]) -> ExperimentConfig | None:
        try:
            if config.backend is None:
                config = config.with_backend(choose_backend(config, _defaults(found), plugins.names("backends")[0]))
                self._say(f"backend not given: {config.backend} chosen")
            return config
        except ConfigError as error:
            self._problems.append(str(error) + _remedy(error.hint))
        except ValueError as error:  # pydantic: the chosen backend does not support what is asked
            self._problems.append(str(error))
        return None

    def _facts(
        self, config: ExperimentConfig, place: Place, found: Mapping[Place, Found], uses: Iterable[Use]
    ) -> PointFacts | None:
        engine = found.get(place)
        stored = self._model(config.model, config.model_revision, config.weights)
        dataset = self._dataset(config)
        if engine is None or stored is None or dataset is None:
            return None
        try:
            packed = getattr(config.section(place.backend), "quantization", None) == "gguf"
            model = as_opened(stored, place.backend, place.at, self._say, packed=packed)
            draft = config.decoder.draft_model
            draft_stored = self._model(draft, None, "real") if draft is not None else None
            draft_model = draft_stored and as_opened(draft_stored, place.backend, place.at, self._say, packed=packed)
            adapter = config.lora
            lora = None if adapter is None else find_adapter(adapter, base=self._options.base, say=self._say)
            tokenizer = _tokenizer_place(config.model, found, uses)
            inputs = self._wanted(config, stored, dataset, tokenizer)
        except LLEMError as error:
            self._problems.append(f"{config.model} for {config.backend}: {error}" + _remedy(error.hint))
            return None
        in_file = file_of(config.dataset, base=self._options.base) is not None
        config_hash = measurement_config_hash(config, dataset.sha256 if in_file else None)
        lengths = self._lengths(config)
        return PointFacts(
            found=engine,
            place=place,
            model=model,
            inputs=inputs,
            input_tokens=lengths.mean_input,
            output_tokens=lengths.mean_output,
            measurement_config_hash=config_hash,
            draft_model=draft_model,
            lora=lora,
        )

    def _lengths(self, config: ExperimentConfig) -> TokenLengths:
        key = f"{config.dataset!r}:{config.max_input_tokens}:{config.n}:{config.decoder.max_new_tokens}"
        if key not in self._known_lengths:
            found = token_lengths(config, base=self._options.base, prompts=config.n + WARMUP_PROMPTS)
            self._known_lengths[key] = found
        return self._known_lengths[key]

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

    def _wanted(self, config: ExperimentConfig, stored: ModelRef, dataset: Dataset, tokenizer: Place) -> str:
        name = inputs_name(config, stored, dataset.sha256, tokenizer.backend, WARMUP_PROMPTS)
        if name not in self._inputs:
            prompts = choose(dataset, config.n, config.dataset_order, config.random_seed, WARMUP_PROMPTS)
            if not stored.has_tokenizer and any(prompt.exact_tokens is None for prompt in prompts.prompts):
                raise ConfigError(
                    f"{stored.name} has no tokenizer, so text cannot become its tokens",
                    hint="dataset: synthetic, whose prompts are made of ids of the vocabulary",
                )
            job = PrepareJob(
                backend=tokenizer.backend,
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
            self._inputs[name] = InputsWanted(name, job, prompts, tokenizer.at)
        return name


def _tokenizer_place(model: str, found: Iterable[Place], uses: Iterable[Use]) -> Place:
    """Where the ids are made: of the places where the study runs this model, the first whose tokenizer ranks first."""
    used = dict.fromkeys(use.place for use in uses if use.model == model and use.place in found)
    return min(used, key=lambda place: backend_section.spec_of(place.backend).tokenizer_rank)


def _defaults(found: Iterable[Place]) -> list[str]:
    """Backends that run without an environment being named."""
    return [place.backend for place in found if place.environment is None]


def _remedy(hint: str) -> str:
    return f" ({hint})" if hint else ""
