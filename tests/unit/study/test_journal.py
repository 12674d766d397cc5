from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.study.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study_journal.jsonl"


def test_entries_come_back_in_order(path: Path) -> None:
    """What happened is read in the order in which it happened, each with its time."""
    journal = Journal(path)
    journal.running(1, 1, "001")
    journal.completed(1, 1, "001")
    journal.running(2, 3, "002_a3")
    journal.failed(2, 3, "002_a3", "timeout: too long")
    journal.stopped("interrupted")
    entries = Journal(path).entries()
    assert [(entry.event, entry.trial, entry.attempt, entry.folder, entry.detail) for entry in entries] == [
        ("running", 1, 1, "001", ""),
        ("completed", 1, 1, "001", ""),
        ("running", 2, 3, "002_a3", ""),
        ("failed", 2, 3, "002_a3", "timeout: too long"),
        ("stopped", None, None, None, "interrupted"),
    ]
    times = [datetime.fromisoformat(entry.at) for entry in entries]
    assert times == sorted(times) and all(time.tzinfo is not None for time in times)


def test_no_journal_is_no_entry(path: Path) -> None:
    """A study that has not begun has no history."""
    assert Journal(path).entries() == ()


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_torn_last_line_is_ignored_and_stays_alone(path: Path, cut: int) -> None:
    """A process killed while it wrote leaves half a line: it counts for nothing and spoils no later entry."""
    journal = Journal(path)
    journal.running(1, 1, "001")
    journal.completed(1, 1, "001")
    path.write_bytes(path.read_bytes()[:-cut])
    expected = ["running", "completed"] if cut == 1 else ["running"]
    assert [entry.event for entry in journal.entries()] == expected
    journal.failed(1, 1, "001", "again")
    assert [entry.event for entry in journal.entries()] == [*expected, "failed"]


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[]", b'{"event": "planned", "trial": 1}', b"[" * 100_000, b""])
def test_a_line_that_is_no_entry_is_passed_over(path: Path, line: bytes) -> None:
    """Garbage, and events of a newer version, hide nothing."""
    journal = Journal(path)
    journal.running(1, 1, "001")
    with open(path, "ab") as file:
        file.write(line + b"\n")
    journal.completed(1, 1, "001")
    assert [entry.event for entry in journal.entries()] == ["running", "completed"]


def test_a_full_disk_is_an_error_and_the_journal_goes_on_after_it(
    path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    """What could not be written is an error that says what to do; later entries are whole."""
    journal = Journal(path)
    journal.running(1, 1, "001")
    with (
        full_disk(path.stat().st_size + 10),
        pytest.raises(StoreError, match="cannot be written: File too large") as caught,
    ):
        journal.completed(1, 1, "001")
    assert "resume" in caught.value.hint
    journal.completed(1, 1, "001")
    assert [entry.event for entry in journal.entries()] == ["running", "completed"]


def test_a_journal_that_cannot_be_read_is_an_error(path: Path) -> None:
    """What is in the way of the journal is not an empty history."""
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        Journal(path).entries()
    with pytest.raises(StoreError, match="cannot be written"):
        Journal(path).running(1, 1, "001")


def test_any_text_can_be_journalled(path: Path) -> None:
    """The words of an error may hold anything."""
    Journal(path).failed(1, 1, "001", "é\n\u2028 \udcff")
    assert Journal(path).entries()[0].detail == "é\n\u2028 \udcff"
