"""What a refusal of a configuration owes to the person who reads it; and configurations read as the command line reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from llenergymeasure.cli.overrides import Overrides, experiment_with, study_with
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.study import StudyConfig, is_study
from llenergymeasure.config.yaml_strict import load_yaml
from llenergymeasure.errors import ConfigError

# A message may be long where it lists choices, but never so long that it scrolls away.
_MOST_CHARACTERS, _MOST_LINES = 20_000, 30

# Words that say what to write instead, where no hint in brackets does.
_SAYS_WHAT_TO_DO = re.compile(r"\(.+\)$|should|needs|expected|give |is (at least|above|below) |belongs to |decided by")
_PLACE = re.compile(r":(\d+)(?::\d+)?: ")
_LINE_END = re.compile(rb"\r\n|\r|\n|\xc2\x85|\xe2\x80\xa8|\xe2\x80\xa9")

# What has no line: a file that holds nothing, one that is not read to its end, a key that is not there.
_NO_LINE = re.compile(r"the file is empty|bytes are too many|is needed and not given")


def read_as_llem(path: Path, overrides: Overrides | None = None) -> ExperimentConfig | StudyConfig:
    """The experiment or study in a file, as ``llem run FILE`` reads it. Raises ``ConfigError``."""
    flags = overrides or Overrides.of_flags((), backend=None, batch_size=None, shared={}, execution={})
    document = load_yaml(path)
    return study_with(document, flags) if is_study(document.data) else experiment_with(document, flags)


def shortcomings(text: str, hint: str, file: str, content: bytes) -> Iterator[str]:
    """What a message about ``file`` lacks: its name, a line of it, a suggestion, plain characters, or an end."""
    if len(text) > _MOST_CHARACTERS or text.count("\n") >= _MOST_LINES:
        yield "it has no end"
    if any(not (character.isprintable() or character == "\n") for character in text):
        yield "it holds characters that cannot be seen"
    lines = len(_LINE_END.split(content)) + 1
    for problem in text.split("\n"):
        if problem.startswith("… and "):
            continue
        said = problem.removeprefix(file)
        place = _PLACE.match(said)
        if said == problem:
            yield f"it names no file: {problem[:200]}"
        elif place is None and not _NO_LINE.search(said):
            yield f"it names no line: {said[:200]}"
        elif place is not None and not 1 <= int(place[1]) <= lines:
            yield f"it names line {place[1]} of {lines}"
        if not hint and not _SAYS_WHAT_TO_DO.search(said):
            yield f"it suggests nothing: {said[:200]}"


def has_line(error: ConfigError, file: str) -> bool:
    """Whether every problem of a message names its line."""
    return not any(problem.startswith(f"{file}: ") for problem in str(error).split("\n"))
