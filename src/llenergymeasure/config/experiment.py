"""``ExperimentConfig``: what to measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from llenergymeasure import plugins
from llenergymeasure.config import backend_section
from llenergymeasure.config.dataset import DatasetChoice
from llenergymeasure.config.problems import config_error, did_you_mean, problem, problems_of, relocated, unknown_key
from llenergymeasure.config.sections import (
    MOST_PROMPTS,
    BaselineConfig,
    DecoderConfig,
    EnergyConfig,
    LoraConfig,
    Positive,
    PowerConfig,
    Section,
    Text,
    WarmupConfig,
    WindowConfig,
)
from llenergymeasure.config.supports import Combined, unsupported
from llenergymeasure.config.yaml_strict import Document, load_yaml

# Keys of features that are not part of this version.
LATER = {
    "traffic": "served traffic is not available yet",
    "endpoint": "measuring a running server is not available yet",
    "accuracy": "scoring accuracy is not available yet",
}


class ExperimentConfig(Section):
    """One model, one backend, one way of serving: everything that decides what is measured.

    Beside the fields below it takes one section a backend, named like the backend and built from the backend's own options;
    ``config.section("pytorch")`` (or ``config.pytorch``) is that options object. Raises pydantic's ``ValidationError`` with every
    problem at once; ``from_yaml`` raises ``ConfigError`` with file and line.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, protected_namespaces=())

    model: Text = Field(description="hub id, local directory, .gguf file, or builtin:<name>")
    model_revision: Text | None = Field(None, description="commit of the hub repository")
    weights: Literal["real", "random"] = Field("real", description="random: the architecture alone, nothing downloaded")
    backend: str | None = Field(None, description="inference engine; not given: chosen, written in and printed")
    environment: Text | None = Field(
        None, description="a named environment of the user configuration: an engine's version"
    )
    device: Literal["auto", "cpu", "cuda", "mps", "xpu"] = Field("auto", description="where the model runs")
    precision: Literal["fp32", "fp16", "bf16", "as_stored"] | None = Field(
        None,
        description="type of weights and arithmetic; not given: as stored where the engine runs stored quantised weights",
    )
    dataset: DatasetChoice = Field("mixed", description="where prompts come from")
    n: Positive = Field(100, le=MOST_PROMPTS, description="prompts taken")
    dataset_order: Literal["file", "shuffled"] = Field("file", description="take the first n, or shuffle first")
    prompt_format: Literal["raw", "chat"] = Field("raw", description="chat: the model's template")
    max_input_tokens: Positive | None = Field(
        None, description="cut longer prompts; not given: what the model can hold"
    )
    random_seed: int = Field(42, ge=0, lt=2**31, description="sampling, synthetic data, shuffles")
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)
    lora: LoraConfig | None = Field(None, description="an adapter on top of the model")
    power: PowerConfig | None = Field(None, description="a power cap or locked clocks for the GPUs of the trial")
    cold_start: bool = Field(False, description="the window holds loading and the first request; nothing is warmed up")
    warmup: WarmupConfig = Field(default_factory=WarmupConfig)
    window: WindowConfig = Field(default_factory=WindowConfig)
    baseline: BaselineConfig = Field(default_factory=BaselineConfig)
    energy: EnergyConfig = Field(default_factory=EnergyConfig)
    trust_remote_code: bool = Field(False, description="run code that the model's repository brings")

    @model_validator(mode="wrap")
    @classmethod
    def _with_sections(cls, data: Any, handler: ModelWrapValidatorHandler[ExperimentConfig]) -> ExperimentConfig:
        """Validate backend sections by their backends' options, and everything together against what the backend supports."""
        if not isinstance(data, Mapping):
            return handler(data)
        shared = {key: value for key, value in data.items() if key in cls.model_fields}
        others = {key: value for key, value in data.items() if key not in cls.model_fields}
        wrong: list[InitErrorDetails] = []
        sections: dict[str, Any] = {}
        for key, value in others.items():
            if key in LATER or not plugins.is_known("backends", str(key)):
                known = (*cls.model_fields, *plugins.built_in("backends"))
                wrong.append(unknown_key((key,), value, known, LATER))
                continue
            options, problems = backend_section.validated(key, value)
            sections[key] = options
            wrong += problems
        try:
            config = handler(shared)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                cls.__name__, [*relocated(error, (), known_keys()), *wrong]
            ) from None
        assert config.__pydantic_extra__ is not None
        config.__pydantic_extra__.update(sections)
        if not wrong:
            wrong += cross_checks(config)
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return config

    def section(self, backend: str) -> Any:
        """The options of a backend, or ``None`` when the configuration has no such section."""
        return (self.__pydantic_extra__ or {}).get(backend)

    @property
    def sections(self) -> Mapping[str, Any]:
        """All backend sections by name."""
        return dict(self.__pydantic_extra__ or {})

    def with_backend(self, backend: str) -> ExperimentConfig:
        """The same experiment with its backend written in, and no section of another.

        Raises ``ValidationError`` when the backend does not support what is asked.
        """
        config = self.model_copy(update={"backend": backend})
        assert config.__pydantic_extra__ is not None
        for name in [name for name in config.__pydantic_extra__ if name != backend]:
            del config.__pydantic_extra__[name]
        wrong = list(cross_checks(config))
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return config

    def written(self) -> dict[str, Any]:
        """What differs from the defaults, as plain data that makes an equal configuration."""
        data = self.model_dump(mode="json", exclude_defaults=True, exclude=set(self.sections))
        for name, options in self.sections.items():
            data[name] = backend_section.written(options)
        return data

    def resolved(self) -> dict[str, Any]:
        """Every effective value, defaults included, as plain data; what is ``None`` is left out."""
        data = self.model_dump(mode="json", exclude_none=True, exclude=set(self.sections))
        for name, options in self.sections.items():
            data[name] = backend_section.effective(options)
        return data

    @classmethod
    def from_yaml(cls, path: str | Path) -> ExperimentConfig:
        """The experiment in a YAML file. Raises ``ConfigError`` with file, line and suggestion for each problem."""
        return experiment_of(load_yaml(Path(path)))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        resolved = handler.resolve_ref_schema(schema)
        resolved["additionalProperties"] = False
        for name in plugins.built_in("backends"):
            resolved["properties"][name] = backend_section.json_schema(name)
        return schema


def experiment_of(document: Document) -> ExperimentConfig:
    """The experiment in a document. Raises ``ConfigError``."""
    try:
        return ExperimentConfig.model_validate(document.data)
    except ValidationError as error:
        raise config_error(problems_of(error, known_keys()), document) from error


def known_keys() -> dict[tuple[str | int, ...], tuple[str, ...]]:
    """The keys that each shared section takes: what a misspelt key is compared with."""
    fields = ExperimentConfig.model_fields
    sections: dict[str, type[Section]] = {
        "decoder": DecoderConfig,
        "lora": LoraConfig,
        "power": PowerConfig,
        "warmup": WarmupConfig,
        "window": WindowConfig,
        "baseline": BaselineConfig,
        "energy": EnergyConfig,
    }
    known: dict[tuple[str | int, ...], tuple[str, ...]] = {(): tuple(fields)}
    for name, section in sections.items():
        known[(name,)] = tuple(section.model_fields)
    return known


def cross_checks(config: Combined) -> Iterator[InitErrorDetails]:
    """The problems of fields that are fine each by itself and make no sense together."""
    if config.cold_start:
        for name, section in (("warmup", config.warmup), ("window", config.window)):
            if section != type(section)():
                yield problem(
                    (name,), None, f"a cold start has no {name} of its own: it is loading and one request", "remove it"
                )
    if config.backend is None:
        return
    if not plugins.is_known("backends", config.backend):
        yield problem(
            ("backend",),
            config.backend,
            f"{config.backend!r} is not a backend",
            did_you_mean(config.backend, plugins.names("backends")),
        )
        return
    for name in config.sections:
        if name != config.backend:
            yield problem(
                (name,), name, f"section {name!r} is for another backend than {config.backend!r}", "remove it"
            )
    for path, message, hint in unsupported(config, backend_section.spec_of(config.backend)):
        yield problem(path, None, message, hint)
