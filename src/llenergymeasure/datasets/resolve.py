"""From the field ``dataset`` to a dataset, and from a dataset to the prompts of a study."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Literal

from llenergymeasure import plugins
from llenergymeasure.config.dataset import DatasetChoice, DatasetFile, SyntheticDataset, SyntheticOptions
from llenergymeasure.config.problems import did_you_mean
from llenergymeasure.datasets.contract import Dataset
from llenergymeasure.datasets.files import open_file
from llenergymeasure.datasets.hub import open_hub
from llenergymeasure.datasets.rows import READERS
from llenergymeasure.datasets.synthetic import SyntheticPrompts
from llenergymeasure.datasets.table import Columns
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.inputs import Prompts

SYNTHETIC = "synthetic"

# Short names of hub datasets.
_ALIASES = {"aienergyscore": DatasetFile(hub="AIEnergyScore/text_generation")}

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def open_dataset(
    choice: DatasetChoice, *, base: Path, random_seed: int, n: int, default_max_new_tokens: int
) -> Dataset:
    """The dataset that is meant; relative paths start at ``base``.

    ``random_seed`` and ``default_max_new_tokens`` are what synthetic prompts take where the choice gives none of its own; ``n``
    prompts will be taken, and a pool that is known to be smaller is refused. Raises ``ConfigError`` with file and line of what
    is wrong, or with the names that would be right; ``LLEMError`` for a plug-in that cannot be loaded.
    """
    if choice == SYNTHETIC:
        choice = SyntheticDataset()
    if isinstance(choice, SyntheticDataset):
        options: SyntheticOptions = choice.synthetic
        if options.n is not None and options.n < n:
            raise _too_small(SYNTHETIC, options.n, n)
        return SyntheticPrompts(options, random_seed=random_seed, max_new_tokens=default_max_new_tokens)
    path = file_of(choice, base=base)
    if path is not None:
        return open_file(path, _columns(choice))
    return open_hub(choice) if isinstance(choice, DatasetFile) else _named(choice)


def file_of(choice: DatasetChoice, *, base: Path) -> Path | None:
    """The file that a choice names, whether it exists or not; ``None`` for a choice of another kind."""
    if isinstance(choice, DatasetFile):
        return None if choice.path is None else base / Path(choice.path).expanduser()
    if not isinstance(choice, str) or choice in plugins.built_in("datasets"):
        return None
    path = base / Path(choice).expanduser()
    looks_like_one = choice.startswith(("/", "./", "../", "~")) or path.suffix.lower() in READERS
    return path if looks_like_one else None


def _columns(choice: DatasetChoice) -> Columns:
    return Columns(choice.column, choice.max_new_tokens_column) if isinstance(choice, DatasetFile) else Columns()


def _named(name: str) -> Dataset:
    if name in _ALIASES:
        return open_hub(_ALIASES[name])
    if plugins.is_known("datasets", name):
        dataset: Dataset = plugins.load("datasets", name)()
        return dataset
    if _HUB_ID.fullmatch(name):
        return open_hub(DatasetFile(hub=name))
    known = (*plugins.names("datasets"), SYNTHETIC, *_ALIASES)
    suggestion = did_you_mean(name, known)
    raise ConfigError(
        f"{name!r} is not a dataset",
        hint=f"{suggestion}; or write a file ({', '.join(READERS)}), or owner/name of a dataset on the hub",
    )


def choose(dataset: Dataset, n: int, order: Literal["file", "shuffled"], seed: int, n_warmup: int) -> Prompts:
    """The first ``n`` prompts for the window and up to ``n_warmup`` further ones for the warm-up.

    ``shuffled`` puts the whole pool into an order given by ``seed`` first (of a pool without end, the prompts that are taken).
    Raises ``ConfigError`` when there are fewer than ``n``.
    """
    taken = n + n_warmup
    whole = dataset.size if order == "shuffled" else None
    pool = list(dataset.prompts(taken if whole is None else whole, seed))
    if len(pool) < n:
        raise _too_small(dataset.name, len(pool), n)
    if order == "shuffled":
        random.Random(seed).shuffle(pool)
    return Prompts(tuple(pool[:taken]), dataset.name, dataset.sha256)


def _too_small(name: str, size: int, n: int) -> ConfigError:
    hint = f"lower n to {size}, or add prompts" if size else "is it the right file, or the right column?"
    return ConfigError(f"dataset {name} has {size:,} prompts, and n is {n:,}", hint=hint)
