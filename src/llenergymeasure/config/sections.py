"""The sections that every experiment shares."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llenergymeasure.config.yaml_strict import as_written


class Section(BaseModel):
    """Base of all configuration: frozen, unknown keys are errors, NaN and infinity too. Each is built on first use."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


# Bounds that nobody meets, and that keep a slip of the keyboard from filling memory or overflowing a clock.
MOST_PROMPTS = 1_000_000
_MOST_SECONDS = 1e7
_MOST_WATTS = 1e5

Positive = Annotated[int, Field(ge=1, lt=2**31)]
Seconds = Annotated[float, Field(ge=0, le=_MOST_SECONDS)]
PositiveSeconds = Annotated[float, Field(gt=0, le=_MOST_SECONDS)]

# Text that may look like a number: a revision of digits, a folder named 2024.
Text = Annotated[str, BeforeValidator(as_written), Field(min_length=1)]


class DecoderConfig(Section):
    """How tokens are chosen and when a completion ends."""

    decoding_strategy: Literal["greedy", "sampling", "beam"] = Field(
        "greedy", description="how the next token is chosen"
    )
    temperature: float = Field(1.0, gt=0, description="sampling: spread of the distribution")
    top_p: float = Field(1.0, gt=0, le=1, description="sampling: keep the most probable tokens up to this mass")
    top_k: Positive | None = Field(None, description="sampling: keep this many tokens; none keeps all")
    repetition_penalty: float = Field(1.0, gt=0, description="above 1 makes repeated tokens less likely")
    num_beams: Annotated[int, Field(ge=2)] | None = Field(None, description="beam search: beams kept")
    max_new_tokens: Positive = Field(128, description="output tokens a request, at most")
    min_new_tokens: Positive | None = Field(None, description="output tokens a request, at least")
    ignore_eos: bool = Field(
        True, description="go on past the end token: every request yields max_new_tokens, the fair default for energy"
    )
    speculative_decoding: bool = Field(
        False, description="propose tokens, with a draft model or by a method of the backend"
    )
    draft_model: str | None = Field(None, description="speculative decoding: the smaller model")

    @model_validator(mode="after")
    def _belongs_together(self) -> DecoderConfig:
        strategy = self.decoding_strategy
        sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": None}
        set_here = [name for name, neutral in sampling.items() if getattr(self, name) != neutral]
        if strategy != "sampling" and set_here:
            raise ValueError(f"{', '.join(set_here)} needs decoding_strategy: sampling (it is {strategy})")
        if self.num_beams is not None and strategy != "beam":
            raise ValueError(f"num_beams needs decoding_strategy: beam (it is {strategy})")
        if strategy == "beam" and self.num_beams is None:
            raise ValueError("decoding_strategy: beam needs num_beams")
        if self.min_new_tokens is not None and self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens {self.min_new_tokens} is above max_new_tokens {self.max_new_tokens}")
        if self.draft_model is not None and not self.speculative_decoding:
            raise ValueError("draft_model needs speculative_decoding: true")
        return self


class LoraConfig(Section):
    """A LoRA adapter: from the hub or from a directory."""

    adapter_id: Annotated[str, Field(min_length=1)] | None = Field(None, description="repository of the hub")
    adapter_path: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="directory that holds adapter_config.json"
    )
    merge_weights: bool = Field(False, description="add it to the weights; else it stays beside them and costs work")

    @model_validator(mode="after")
    def _one_place(self) -> LoraConfig:
        if (self.adapter_id is None) == (self.adapter_path is None):
            raise ValueError("lora needs adapter_id or adapter_path, one of them")
        return self


class PowerConfig(Section):
    """What NVIDIA GPUs are held to while a trial lasts: set before it, read back, and taken back after it.

    With nothing given, or ``null``, boards stay as they are, which is what a sweep compares with.
    """

    cap_w: Annotated[float, Field(gt=0, le=_MOST_WATTS)] | None = Field(None, description="power cap of each board, W")
    sm_clock_mhz: Positive | None = Field(None, description="clock of the multiprocessors, locked")
    mem_clock_mhz: Positive | None = Field(None, description="clock of the memory, locked")


class WarmupConfig(Section):
    """Batches before the window, of the measured shape, over other prompts."""

    strategy: Literal["steady", "fixed", "none"] = Field("steady", description="until steady, a fixed number, or none")
    n_warmup: Positive = Field(5, description="batches: exactly (fixed), or at least (steady)")
    max_seconds: PositiveSeconds = Field(120.0, description="end the warm-up after this time, steady or not")
    cv_target: float = Field(0.05, gt=0, lt=1, description="steady: coefficient of variation of the last five batches")


class WindowConfig(Section):
    """The measured interval."""

    min_seconds: Seconds = Field(10.0, description="whole passes over the prompts repeat until then")
    max_seconds: PositiveSeconds | None = Field(
        None, description="end at the next batch or request after this time, in the middle of a pass if need be"
    )

    @model_validator(mode="after")
    def _ordered(self) -> WindowConfig:
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds {self.max_seconds:g} is below min_seconds {self.min_seconds:g}")
        return self


class BaselineConfig(Section):
    """Idle power before and after loading. Skipped where nothing can be metered."""

    enabled: bool = Field(True, description="measure idle power")
    duration_seconds: PositiveSeconds = Field(5.0, description="length of each idle")
    max_age_seconds: Seconds = Field(
        3600.0,
        description="use idle power with nothing loaded again that the same sensors gave no longer ago; 0: measure it",
    )


class EnergyConfig(Section):
    """Which energy source is read."""

    source: str = Field("auto", description="auto, none, or the name of an energy source")
