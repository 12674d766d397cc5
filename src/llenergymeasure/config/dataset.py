"""The field ``dataset``: a name, a path, a hub id, or a mapping for a file, a hub repository or synthetic prompts.

Only the form is checked here; what exists is found out by ``datasets.resolve``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from llenergymeasure.config.problems import problem, relocated, unknown_key
from llenergymeasure.config.sections import MOST_PROMPTS, Positive, Section, Text
from llenergymeasure.config.yaml_strict import as_written

M = TypeVar("M", bound=BaseModel)


class DatasetFile(Section):
    """Prompts in a file of this machine, or in the files of a dataset repository on the Hugging Face hub."""

    path: Text | None = Field(None, description="file: .jsonl, .json, .csv, .parquet or .txt")
    hub: Text | None = Field(None, description="hub: owner/name of a dataset repository")
    split: Text | None = Field(None, description="hub: which split; not given: train, else the only one")
    subset: Text | None = Field(None, description="hub: which subset (configuration) of the repository")
    revision: Text | None = Field(None, description="hub: commit, branch or tag; the commit used is recorded")
    column: Text | None = Field(
        None, description="not given: the first there of prompt, text, question, instruction, input, content, a chat"
    )
    max_new_tokens_column: Text | None = Field(
        None, description="output tokens of each prompt; not given: max_new_tokens where there is such a column"
    )

    @model_validator(mode="after")
    def _one_place(self) -> DatasetFile:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give path (a file) or hub (owner/name), one of the two")
        only_hub = [name for name in ("split", "subset", "revision") if getattr(self, name) is not None]
        if self.path is not None and only_hub:
            raise ValueError(f"{', '.join(only_hub)} belongs to a hub dataset; a file has none")
        return self


class Uniform(Section):
    """Every whole number from ``min`` to ``max`` is as likely."""

    min: Positive = Field(description="shortest, in tokens")
    max: Positive = Field(description="longest, in tokens")

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        return _ordered(self, self.min, self.max)


class Normal(Section):
    """Bell-shaped around ``mean``; a draw beyond ``min`` or ``max`` becomes that limit."""

    mean: Annotated[float, Field(gt=0)] = Field(description="mean, in tokens")
    std: Annotated[float, Field(gt=0)] = Field(description="standard deviation, in tokens")
    min: Positive = Field(1, description="shortest, in tokens")
    max: Positive | None = Field(None, description="longest, in tokens")

    @model_validator(mode="after")
    def _ordered(self) -> Normal:
        return _ordered(self, self.min, self.max)


class Lognormal(Section):
    """Right-skewed, as real prompts are: the logarithm is normal. A draw beyond ``min`` or ``max`` becomes that limit."""

    median: Annotated[float, Field(gt=0)] = Field(description="half of the draws are below, in tokens")
    sigma: Annotated[float, Field(gt=0, le=2)] = Field(description="standard deviation of the natural logarithm")
    min: Positive = Field(1, description="shortest, in tokens")
    max: Positive | None = Field(None, description="longest, in tokens")

    @model_validator(mode="after")
    def _ordered(self) -> Lognormal:
        return _ordered(self, self.min, self.max)


class Lengths(Section):
    """A distribution of lengths in tokens: exactly one of its fields."""

    uniform: Uniform | None = None
    normal: Normal | None = None
    lognormal: Lognormal | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Lengths:
        if sum(part is not None for part in (self.uniform, self.normal, self.lognormal)) != 1:
            raise ValueError("give one of uniform, normal, lognormal")
        return self

    @property
    def distribution(self) -> Uniform | Normal | Lognormal:
        """The one that was given."""
        given = self.uniform or self.normal or self.lognormal
        assert given is not None
        return given


def _lengths(value: object) -> object:
    """The member of the union that is meant, so that an error is about that one alone."""
    if isinstance(value, Mapping):
        return _validated(Lengths, value)
    if isinstance(value, Lengths) or (isinstance(value, int) and value >= 1 and not isinstance(value, bool)):
        return value
    raise _wrong(Lengths, value, "expected a number of tokens, 1 or more, or one of uniform, normal, lognormal")


Length = Annotated[Positive | Lengths, BeforeValidator(_lengths)]


class SyntheticOptions(Section):
    """Prompts of exact lengths. A length is a number of tokens or a distribution, such as ``{uniform: {min: 64, max: 512}}``."""

    n: Positive | None = Field(
        None, le=MOST_PROMPTS, description="size of the pool; not given: as many as are asked for"
    )
    input_len: Length = Field(512, description="tokens of each prompt, exactly")
    output_len: Length | None = Field(
        None, description="output tokens of each prompt, before decoder.max_new_tokens; not given: that (128)"
    )
    seed: int | None = Field(None, ge=0, lt=2**31, description="not given: random_seed")


class SyntheticDataset(Section):
    """Generated prompts of exact lengths. Alone, as ``dataset: synthetic``: 512 tokens in, ``decoder.max_new_tokens`` out."""

    synthetic: SyntheticOptions = SyntheticOptions()


def _choice(value: object) -> object:
    """As ``_lengths``, for the whole field."""
    if isinstance(value, Mapping):
        choice = _validated(SyntheticDataset if "synthetic" in value else DatasetFile, value)
        return "synthetic" if choice == SyntheticDataset() else choice
    text = as_written(value)
    if isinstance(text, str | DatasetFile | SyntheticDataset):
        return text
    raise _wrong(DatasetFile, value, "expected a name, a path, a hub id, or a mapping with path, hub or synthetic")


DatasetChoice = Annotated[str | DatasetFile | SyntheticDataset, BeforeValidator(_choice)]


def _validated(model: type[M], data: Mapping[Any, Any]) -> M:
    """``data`` as that model; unknown keys are compared with those it takes."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ValidationError.from_exception_data(model.__name__, list(_explained(model, error))) from None


def _explained(model: type[BaseModel], error: ValidationError) -> Sequence[InitErrorDetails]:
    lines = []
    for line, moved in zip(error.errors(include_url=False), relocated(error), strict=True):
        path = line["loc"]
        known = _keys(model, path[:-1]) if line["type"] == "extra_forbidden" else ()
        lines.append(unknown_key(path, line["input"], known) if known else moved)
    return lines


def _keys(model: type[BaseModel], path: Sequence[str | int]) -> Sequence[str]:
    """The keys that the section at ``path`` takes."""
    sections: dict[str | int, type[BaseModel]] = {
        "synthetic": SyntheticOptions,
        "uniform": Uniform,
        "normal": Normal,
        "lognormal": Lognormal,
    }
    return tuple((sections[path[-1]] if path else model).model_fields)


def _wrong(model: type[BaseModel], value: object, message: str) -> ValidationError:
    return ValidationError.from_exception_data(model.__name__, [problem((), value, message)])


def _ordered(lengths: M, least: int, most: int | None) -> M:
    if most is not None and most < least:
        raise ValueError(f"max {most} is below min {least}")
    return lengths
