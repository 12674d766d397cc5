"""The errors a caller may meet, as one tree. Each says what to do next in ``hint``."""

from __future__ import annotations


class LLEMError(Exception):
    """Base of every error this package raises on purpose.

    ``str(error)`` says what is wrong and where; ``hint`` is the command or the edit that helps, or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(LLEMError):
    """A configuration, a flag or an input file is not valid. Nothing has run."""


class BackendError(LLEMError):
    """An inference engine is missing, refused an option, or failed."""


class PreFlightError(LLEMError):
    """Something needed is not here. ``problems`` lists every one found, not only the first."""

    def __init__(self, problems: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__(
            "pre-flight found a problem:\n" + "\n".join(f"  - {problem}" for problem in problems), hint=hint
        )
        self.problems = problems


class ExperimentError(LLEMError):
    """The one trial that was asked for failed.

    ``kind`` is the machine-readable cause, ``config`` the experiment as a mapping, ``log_tail`` the end of the worker's log.
    """

    def __init__(
        self, message: str, *, kind: str, config: dict[str, object], log_tail: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.config = config
        self.log_tail = log_tail


class StudyError(LLEMError):
    """A study produced nothing. ``failed`` and ``succeeded`` count its trials."""

    def __init__(self, message: str, *, failed: int = 0, succeeded: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.failed = failed
        self.succeeded = succeeded


class EnergyError(LLEMError):
    """An energy source was asked for by name and cannot be used."""


class StoreError(LLEMError):
    """A results directory cannot be read or written."""
