"""How long prompts and answers will be, told without a tokenizer and without a library of columns: for forecasts."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

from llenergymeasure.config.dataset import Length, Lognormal, Normal, SyntheticDataset, SyntheticOptions, Uniform
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.datasets.mixed import words_at
from llenergymeasure.datasets.resolve import SYNTHETIC, file_of, open_dataset
from llenergymeasure.errors import LLEMError

_MIXED = "mixed"
_TOKENS_PER_WORD = 1.33
_CHARACTERS_PER_TOKEN = 4.0

# Prompts that are not looked at: of the hub, of a plug-in, in a large file.
_UNSEEN_MEAN, _UNSEEN_LONGEST = 256.0, 1024
_LARGEST_FILE_BYTES = 4 * 2**20
_COLUMNAR = (".parquet",)

# How many standard deviations the longest of some hundred draws is from the middle.
_REACH = 2.6


@dataclass(frozen=True, slots=True)
class TokenLengths:
    """Tokens of prompts and answers, on average and at most. ``basis`` says how they are known."""

    mean_input: float
    longest_input: int
    mean_output: float
    longest_output: int
    basis: str


def token_lengths(config: ExperimentConfig, *, base: Path, prompts: int) -> TokenLengths:
    """What to expect of ``prompts`` prompts, the warm-up's among them; files are looked for from ``base``, nothing is fetched."""
    output = config.decoder.max_new_tokens
    choice = config.dataset
    if choice == SYNTHETIC or isinstance(choice, SyntheticDataset):
        options = choice.synthetic if isinstance(choice, SyntheticDataset) else SyntheticOptions()
        mean_output, longest_output = _of(output if options.output_len is None else options.output_len)
        return TokenLengths(*_of(options.input_len), mean_output, longest_output, "as asked for")
    found = _of_mixed(prompts, output) if choice == _MIXED else _of_file(config, base)
    most = config.max_input_tokens
    if most is None:
        return found
    return replace(found, mean_input=min(found.mean_input, most), longest_input=min(found.longest_input, most))


def _of(length: Length) -> tuple[float, int]:
    """(mean, longest) of a length or a distribution of lengths."""
    if isinstance(length, int):
        return length, length
    match length.distribution:
        case Uniform(min=least, max=most):
            return (least + most) / 2, most
        case Normal(mean=mean, std=std, max=limit):
            longest = mean + _REACH * std
        case Lognormal(median=median, sigma=sigma, max=limit):
            mean, longest = median * math.exp(sigma**2 / 2), median * math.exp(_REACH * sigma)
    longest = longest if limit is None else min(longest, limit)
    return min(mean, longest), round(longest)


def _of_mixed(prompts: int, output: int) -> TokenLengths:
    words = [words_at((place + 0.5) / 100) for place in range(100)]
    longest = round(_TOKENS_PER_WORD * words_at(1 - 0.5 / prompts))
    return TokenLengths(_TOKENS_PER_WORD * statistics.fmean(words), longest, output, output, "profile of the prompts")


def _of_file(config: ExperimentConfig, base: Path) -> TokenLengths:
    output = config.decoder.max_new_tokens
    unseen = TokenLengths(_UNSEEN_MEAN, _UNSEEN_LONGEST, output, output, "not looked at: assumed")
    path = file_of(config.dataset, base=base)
    try:
        if path is None or path.suffix.lower() in _COLUMNAR or path.stat().st_size > _LARGEST_FILE_BYTES:
            return unseen
        dataset = open_dataset(
            config.dataset, base=base, random_seed=0, n=config.n, default_max_new_tokens=config.decoder.max_new_tokens
        )
        prompts = dataset.prompts(config.n, 0)
    except (LLEMError, OSError):
        return unseen
    inputs = [
        sum(len(part) for part in (prompt.text, *(message.content for message in prompt.messages)))
        / _CHARACTERS_PER_TOKEN
        for prompt in prompts
    ]
    outputs = [output if prompt.max_new_tokens is None else prompt.max_new_tokens for prompt in prompts]
    if not inputs:
        return unseen
    return TokenLengths(
        statistics.fmean(inputs), round(max(inputs)) or 1, statistics.fmean(outputs), max(outputs), "length of the text"
    )
