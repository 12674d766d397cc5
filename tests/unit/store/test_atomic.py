from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from llenergymeasure.errors import StoreError
from llenergymeasure.store.atomic import replacing, write_text

FullDisk = Callable[[int], AbstractContextManager[None]]


def test_text_is_written_whole(tmp_path: Path) -> None:
    """The file holds the text, everybody may read it, and nothing else is left in the folder."""
    write_text(tmp_path / "a.json", "é\n")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "é\n"
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_error_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    """Half a file never takes the place of a whole one."""
    write_text(tmp_path / "a.json", "old")
    with pytest.raises(KeyError), replacing(tmp_path / "a.json") as draft:
        draft.write_text("half")
        raise KeyError
    assert (tmp_path / "a.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """The name changes hands in one step."""
    write_text(tmp_path / "a.json", "old")
    with replacing(tmp_path / "a.json") as draft:
        draft.write_text("new")
        assert (tmp_path / "a.json").read_text() == "old"
    assert (tmp_path / "a.json").read_text() == "new"


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path, full_disk: FullDisk) -> None:
    """A file that does not fit is a ``StoreError``; the old one stays and no draft is left."""
    write_text(tmp_path / "a.json", "old")
    with full_disk(1000), pytest.raises(StoreError, match=r"a\.json: cannot be written: File too large") as caught:
        write_text(tmp_path / "a.json", "x" * 5000)
    assert "free space" in caught.value.hint
    assert (tmp_path / "a.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_that_is_gone_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """Where nothing can be made the error says where."""
    with pytest.raises(StoreError, match=r"gone/a\.json: cannot be written: No such file or directory"):
        write_text(tmp_path / "gone" / "a.json", "x")


def test_a_name_that_cannot_be_replaced_is_an_error(tmp_path: Path) -> None:
    """A folder in the place of the file is refused, and no draft is left."""
    (tmp_path / "a.json").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_text(tmp_path / "a.json", "x")
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.skipif(not Path("/proc/self/attr").exists(), reason="/proc, a folder nobody may write to, is Linux's")
def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    """A read-only place refuses even root."""
    with pytest.raises(StoreError, match="cannot be written"):
        write_text(Path("/proc/self/a.json"), "x")
