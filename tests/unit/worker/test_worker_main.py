from __future__ import annotations

import errno
import platform

import pytest

from llenergymeasure.errors import BackendError, LLEMError
from llenergymeasure.model.codec import CodecError
from llenergymeasure.worker.__main__ import StopFlag, describe
from llenergymeasure.worker.identity import package_versions, process_identity, process_peak_bytes


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "out_of_memory"),
        (CodecError("$.n: missing"), "bad_option"),
        (ModuleNotFoundError("no module named torch"), "backend_missing"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(errno.EACCES, "Permission denied"), "internal"),
        (BackendError("refused", hint="try another"), "backend_error"),
        (LLEMError("not a job"), "backend_error"),
        (ZeroDivisionError("division by zero"), "internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_every_error_becomes_a_kind(error: Exception, kind: str) -> None:
    """A program can tell what went wrong; a person reads the message, the hint and the traceback."""
    try:
        raise error
    except Exception as caught:
        failure = describe(caught)
    assert failure.kind == kind
    assert failure.message
    assert failure.hint == (
        "free space, or write the results elsewhere" if kind == "disk_full" else getattr(error, "hint", "")
    )
    assert type(error).__name__ in failure.traceback


def test_a_signal_sets_the_flag() -> None:
    """SIGTERM is a wish, asked for between batches."""
    stop = StopFlag()
    assert not stop()
    stop.set(15, None)
    assert stop()


def test_a_process_knows_who_it_is() -> None:
    """Two identities of one process are equal, and name the Python that runs."""
    assert process_identity() == process_identity()
    assert process_identity().python_version == platform.python_version()


def test_versions_of_what_is_installed_only() -> None:
    """A package that is not here has no version."""
    assert set(package_versions(["pytest", "there-is-no-such-package"])) == {"pytest"}


def test_peak_memory_is_that_of_this_process() -> None:
    """Some megabytes, not none, and not the machine's."""
    peak = process_peak_bytes()
    assert peak is not None and 2**20 < peak < 2**40
