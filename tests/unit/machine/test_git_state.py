"""Where a study file stands in its repository, with the real git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from llenergymeasure.machine.git_state import git_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file that is committed, beside another file."""
    _git(tmp_path, "init", "-q")
    for name in ("study.yaml", "other.yaml"):
        (tmp_path / name).write_text("model: m\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path / "study.yaml"


def test_a_committed_file_is_clean_whatever_lies_beside_it(study: Path) -> None:
    """Another file's changes are not this one's."""
    (study.parent / "other.yaml").write_text("changed\n")
    state = git_state(study)
    assert state is not None
    assert (state.commit, state.dirty) == (_git(study.parent, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("name", ["study.yaml", "new.yaml"])
def test_a_changed_or_unknown_file_is_dirty(study: Path, name: str) -> None:
    """What the commit does not hold cannot be had from it."""
    (study.parent / name).write_text("changed\n")
    state = git_state(study.parent / name)
    assert state is not None and state.dirty


def test_outside_of_a_repository_there_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository, no first commit, no folder, no git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path / "study.yaml") is None
    _git(tmp_path, "init", "-q")
    assert git_state(tmp_path / "study.yaml") is None
    assert git_state(tmp_path / "nowhere" / "study.yaml") is None
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path / "study.yaml") is None
