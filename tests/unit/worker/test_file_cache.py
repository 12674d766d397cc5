"""How much of a model's files is in memory."""

import os
import sys

import pytest

from llenergymeasure.worker.file_cache import file_cache

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mincore is asked on Linux only")


def test_a_file_just_written_is_in_memory(tmp_path):
    """All of its bytes, also the last page that is not full."""
    (tmp_path / "model.gguf").write_bytes(b"x" * 1_000_001)
    found = file_cache(str(tmp_path / "model.gguf"))
    assert found is not None
    assert (found.total_bytes, found.resident_bytes) == (1_000_001, 1_000_001)


def test_a_directory_is_the_sum_of_its_files(tmp_path):
    """Empty files and folders below add nothing."""
    for name, size in (("a", 5000), ("b", 7000), ("empty", 0)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "below").mkdir()
    found = file_cache(str(tmp_path))
    assert found is not None
    assert found.total_bytes == 12_000


def test_pages_dropped_from_memory_are_not_counted(tmp_path):
    """The kernel is asked to forget the file; where it does, its pages are on the disk alone."""
    path = tmp_path / "model"
    path.write_bytes(os.urandom(1 << 20))
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    found = file_cache(str(path))
    assert found is not None
    assert 0 <= found.resident_bytes <= found.total_bytes == 1 << 20


def test_what_is_not_there_is_not_known(tmp_path):
    """No file and an empty folder give no answer, not zero."""
    assert file_cache(str(tmp_path / "nothing")) is None
    assert file_cache(str(tmp_path)) is None
