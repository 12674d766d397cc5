"""What the command line says when something went wrong, and the exit status that goes with it."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence

from pydantic import ValidationError

from llenergymeasure.cli.exits import EXIT_FAILED, EXIT_USAGE
from llenergymeasure.cli.show import show
from llenergymeasure.config.experiment import known_keys
from llenergymeasure.config.problems import config_error, problems_of
from llenergymeasure.errors import ConfigError, LLEMError, PreFlightError


def report_error(error: Exception, arguments: Sequence[str]) -> int:
    """Print an error as a person reads it (as a document when ``--json`` was given) and return the exit status."""
    if isinstance(error, ValidationError):
        error = config_error(problems_of(error, known_keys()), None)
    if isinstance(error, OSError):
        error = _of_the_system(error)
    known = isinstance(error, LLEMError)
    hint = error.hint if isinstance(error, LLEMError) else ""
    if "--json" in arguments:
        show(json.dumps({"outcome": _outcome(error), "message": str(error), "hint": hint}))
    elif known:
        _say(f"Error: {error}" + (f"\n  → {hint}" if hint else ""))
    else:
        _say(f"Error: {type(error).__name__}: {error}\n  → this is a defect of llem; -vv shows where, please report it")
    if _asks_for_tracebacks(arguments):
        _say("".join(traceback.format_exception(error)))
    return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED


def _of_the_system(error: OSError) -> LLEMError:
    """What the system refused outside the places that know what they were doing."""
    about = f"{error.filename}: " if isinstance(error.filename, str) else ""
    said = LLEMError(f"{about}{error.strerror or error}", hint="check free space and permissions; -vv shows where")
    return said.with_traceback(error.__traceback__)


def _asks_for_tracebacks(arguments: Sequence[str]) -> bool:
    """``-vv``, or ``-v`` given twice."""
    short = [argument for argument in arguments if argument[:1] == "-" and argument[1:2] != "-"]
    return arguments.count("--verbose") + sum(argument.count("v") for argument in short) > 1


def _outcome(error: Exception) -> str:
    if isinstance(error, ConfigError):
        return "config"
    return "preflight" if isinstance(error, PreFlightError) else "error"


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
