"""A study's inputs: token ids made once, kept in the cache, copied into the study."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from llenergymeasure.errors import LLEMError, StoreError
from llenergymeasure.model.codec import to_line
from llenergymeasure.model.folder import INPUTS, INPUTS_IDS, PROMPTS
from llenergymeasure.model.inputs import read_inputs
from llenergymeasure.models.cache import cache_dir
from llenergymeasure.runners.job import run_job
from llenergymeasure.runners.resolve import runner_at
from llenergymeasure.study.gather import InputsWanted

_TIMEOUT_S = 600.0


def prepare_inputs(wanted: tuple[InputsWanted, ...], say: Callable[[str], None]) -> None:
    """Make the inputs that the cache does not hold. Raises ``LLEMError`` when they cannot be made."""
    for inputs in wanted:
        if not _whole(_cached(inputs)):
            say(f"preparing {len(inputs.prompts.prompts)} prompts with the tokenizer of {inputs.job.backend}")
            _make(inputs, _cached(inputs))


def copy_inputs(wanted: tuple[InputsWanted, ...], folder: Path) -> None:
    """Put prepared inputs into ``folder``, one folder each. Raises ``StoreError``."""
    for inputs in wanted:
        target = folder / inputs.name
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name in (INPUTS_IDS, INPUTS):
                shutil.copyfile(_cached(inputs) / name, target / name)
        except OSError as error:
            raise StoreError(
                f"{target}: cannot be written: {error.strerror}", hint="free space, or another -o"
            ) from error


def _cached(inputs: InputsWanted) -> Path:
    return cache_dir() / "inputs" / inputs.name


def _whole(folder: Path) -> bool:
    try:
        read_inputs(folder)
    except LLEMError:
        return False
    return True


def _make(inputs: InputsWanted, cached: Path) -> None:
    """Run the prepare job beside its place in the cache, then move the result there."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix=".draft-") as name:
            draft = Path(name)
            (draft / PROMPTS).write_text(to_line(inputs.prompts), encoding="utf-8")
            run_job(runner_at(inputs.at), inputs.job, draft, timeout_s=_TIMEOUT_S)
            read_inputs(draft)
            cached.mkdir(exist_ok=True)
            for file in (INPUTS_IDS, INPUTS):
                os.replace(draft / file, cached / file)
    except OSError as error:
        raise StoreError(f"{cached}: cannot be written: {error.strerror}", hint="free space in the cache") from error
