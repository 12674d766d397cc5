from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from llenergymeasure.model.stamps import StampWriter, count_stamps, read_stamps


def test_tokens_and_steps_come_back(tmp_path: Path) -> None:
    """Each request has its token times and each batch its step times, in the order written."""
    path = tmp_path / "stamps.bin"
    with StampWriter(path) as stamps:
        stamps.token(0, 10)
        stamps.step(0, 11)
        stamps.token(1, 12)
        stamps.token(0, 13)
        stamps.step(0, 14)
    tokens, steps = read_stamps(path)
    assert tokens == {0: array("q", [10, 13]), 1: array("q", [12])}
    assert steps == {0: array("q", [11, 14])}
    assert path.stat().st_size == (8 + 2 * 5) * 8


def test_reserve_grows_and_keeps_what_was_written(tmp_path: Path) -> None:
    """More room than the first may be asked for at any time."""
    path = tmp_path / "stamps.bin"
    with StampWriter(path) as stamps:
        for begin in range(0, 12_000, 3000):
            stamps.reserve(3000)
            for index in range(begin, begin + 3000):
                stamps.token(index % 7, index)
        assert count_stamps(path) == 12_000
    tokens, steps = read_stamps(path)
    assert sorted(time for times in tokens.values() for time in times) == list(range(12_000))
    assert steps == {}


def test_count_is_seen_by_another_reader_at_once(tmp_path: Path) -> None:
    """Whoever looks at the file sees each stamp without a flush."""
    path = tmp_path / "stamps.bin"
    with StampWriter(path) as stamps:
        seen = [count_stamps(path)]
        for t_ns in range(3):
            stamps.token(0, t_ns)
            seen.append(count_stamps(path))
    assert seen == [0, 1, 2, 3]


def test_stamps_of_several_threads_are_all_kept(tmp_path: Path) -> None:
    """Stamping is thread safe, also while room is made."""
    path = tmp_path / "stamps.bin"

    def stamp(sequence: int) -> None:
        for t_ns in range(1000):
            stamps.token(sequence, t_ns)

    with StampWriter(path) as stamps:
        stamps.reserve(4000)
        threads = [threading.Thread(target=stamp, args=(sequence,)) for sequence in range(4)]
        for thread in threads:
            thread.start()
        stamps.reserve(20_000)
        for thread in threads:
            thread.join()
    tokens, _ = read_stamps(path)
    assert tokens == {sequence: array("q", range(1000)) for sequence in range(4)}


def test_close_may_come_twice(tmp_path: Path) -> None:
    """Closing a closed writer changes nothing."""
    stamps = StampWriter(tmp_path / "stamps.bin")
    stamps.token(0, 1)
    stamps.close()
    stamps.close()
    assert read_stamps(tmp_path / "stamps.bin")[0] == {0: array("q", [1])}


def test_a_killed_writers_stamps_can_be_read(tmp_path: Path) -> None:
    """A process that is killed leaves every stamp it wrote."""
    path = tmp_path / "stamps.bin"
    code = (
        "import os, sys; from pathlib import Path; from llenergymeasure.model.stamps import StampWriter\n"
        "stamps = StampWriter(Path(sys.argv[1])); stamps.token(3, 33); stamps.token(3, 44); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read_stamps(path) == ({3: array("q", [33, 44])}, {})


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 64, b"llemstmp" + b"\2" * 56])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no stamp file, or one of another version, holds no stamps."""
    path = tmp_path / "stamps.bin"
    path.write_bytes(content)
    assert count_stamps(path) == 0
    with pytest.raises(ValueError, match="not a stamp file of version 1"):
        read_stamps(path)


def test_a_file_that_is_not_there_counts_nothing(tmp_path: Path) -> None:
    """A follower may look before the writer began."""
    assert count_stamps(tmp_path / "stamps.bin") == 0


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    """Fewer records than were counted is an error, not a shorter trial."""
    path = tmp_path / "stamps.bin"
    with StampWriter(path) as stamps:
        for t_ns in range(10):
            stamps.token(0, t_ns)
    os.truncate(path, path.stat().st_size - 20)
    with pytest.raises(ValueError, match="cut short: 10 stamps were written"):
        read_stamps(path)


FullDisk = Callable[[int], AbstractContextManager[None]]


def test_a_full_disk_is_an_error_of_reserve_and_loses_nothing(tmp_path: Path, full_disk: FullDisk) -> None:
    """Room that cannot be had raises ``OSError`` where it is asked for; what was there goes on and can be read."""
    path = tmp_path / "stamps.bin"
    with StampWriter(path) as stamps:
        stamps.token(0, 1)
        with full_disk(path.stat().st_size), pytest.raises(OSError, match="too large"):
            stamps.reserve(100_000)
        stamps.token(0, 2)
    assert read_stamps(path)[0] == {0: array("q", [1, 2])}


def test_no_room_at_all_leaves_no_open_file(tmp_path: Path, full_disk: FullDisk) -> None:
    """A writer that cannot begin raises ``OSError`` and holds nothing."""
    with full_disk(100), pytest.raises(OSError, match="too large"):
        StampWriter(tmp_path / "stamps.bin")
