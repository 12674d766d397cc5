"""What a backend supports, as its spec lists it, against what an experiment asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.config.sections import DecoderConfig, LoraConfig, WarmupConfig, WindowConfig
from llenergymeasure.config.yaml_strict import DataPath

Unsupported = tuple[DataPath, str, str]


class Combined(Protocol):
    """The fields of an experiment that are checked against each other, and no others: an expansion counts on that."""

    @property
    def backend(self) -> str | None: ...
    @property
    def weights(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str | None: ...
    @property
    def decoder(self) -> DecoderConfig: ...
    @property
    def lora(self) -> LoraConfig | None: ...
    @property
    def cold_start(self) -> bool: ...
    @property
    def warmup(self) -> WarmupConfig: ...
    @property
    def window(self) -> WindowConfig: ...
    @property
    def sections(self) -> Mapping[str, Any]: ...


def unsupported(config: Combined, spec: BackendSpec) -> Iterator[Unsupported]:
    """(place, message, hint) of each thing that the backend cannot do."""
    if config.precision is not None and config.precision not in spec.precisions:
        yield _not_among(("precision",), spec, "precision", config.precision, spec.precisions)
    strategy = config.decoder.decoding_strategy
    if strategy not in spec.decoding:
        yield _not_among(("decoder", "decoding_strategy"), spec, "decoding", strategy, spec.decoding)
    if config.device not in ("auto", *spec.devices):
        yield _not_among(("device",), spec, "device", config.device, spec.devices)
    quantization = getattr(config.sections.get(spec.name), "quantization", None)
    if quantization is not None and quantization not in spec.quantization:
        yield _not_among((spec.name, "quantization"), spec, "quantization", quantization, spec.quantization)
    for asked, can, place, what in (
        (
            config.decoder.speculative_decoding,
            spec.speculative,
            ("decoder", "speculative_decoding"),
            "speculative decoding",
        ),
        (config.lora is not None, spec.lora, ("lora",), "LoRA adapters"),
        (config.weights == "random", spec.random_weights, ("weights",), "random weights"),
    ):
        if asked and not can:
            yield place, f"{spec.name} does not support {what}", "choose another backend, or leave it out"
    yield from _speculation(config, spec)


def _speculation(config: Combined, spec: BackendSpec) -> Iterator[Unsupported]:
    """Something has to propose the tokens."""
    decoder, section = config.decoder, config.sections.get(spec.name)
    if not decoder.speculative_decoding or not spec.speculative or decoder.draft_model is not None:
        return
    if not any(getattr(section, name, None) is not None for name in spec.draft_free):
        ways = " or ".join(("decoder.draft_model", *(f"{spec.name}.{name}" for name in spec.draft_free)))
        yield (
            ("decoder", "speculative_decoding"),
            "speculative decoding needs something that proposes tokens",
            f"set {ways}",
        )


def _not_among(place: DataPath, spec: BackendSpec, what: str, given: str, valid: tuple[str, ...]) -> Unsupported:
    if not valid:
        return place, f"{spec.name} takes no {what}", "leave it out"
    return place, f"{spec.name} does not support {what} {given!r}", f"valid: {', '.join(valid)}"
