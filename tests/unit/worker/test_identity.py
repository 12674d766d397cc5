"""What a process says of its interpreter: CUDA and container."""

from __future__ import annotations

import importlib.machinery
import os
from pathlib import Path

import pytest

from llenergymeasure.worker import identity


@pytest.fixture
def torch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a torch that is never imported keeps its version file."""
    folder = tmp_path / "torch"
    folder.mkdir()
    spec = importlib.machinery.ModuleSpec("torch", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(identity, "find_spec", lambda name: spec)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


def _nvcc(tmp_path: Path, text: str, status: int = 0) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nvcc"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{text}'\nexit {status}\n")
    os.chmod(program, 0o755)


def test_torch_says_its_cuda_first(torch_folder: Path, tmp_path: Path) -> None:
    """From its version file, without being imported."""
    (torch_folder / "version.py").write_text("__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\nhip = None\n")
    (tmp_path / "version.txt").write_text("CUDA Version 11.8.0\n")
    assert identity.cuda(tmp_path) == ("13.0", "torch")


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("version.json", '{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}}', "12.4.1"),
        ("version.txt", "CUDA Version 11.8.0\n", "11.8.0"),
    ],
)
def test_a_build_without_cuda_leaves_it_to_the_toolkits_file(
    torch_folder: Path, tmp_path: Path, name: str, text: str, version: str
) -> None:
    """A CPU build of torch says ``None``."""
    (torch_folder / "version.py").write_text("cuda: Optional[str] = None\n")
    (tmp_path / name).write_text(text)
    assert identity.cuda(tmp_path) == (version, "version file")


@pytest.mark.parametrize("broken", ["", "[]", '{"cuda": 3}', '{"cuda": {"version": 3}}', "null"])
def test_a_broken_version_file_leaves_it_to_nvcc(torch_folder: Path, tmp_path: Path, broken: str) -> None:
    """The compiler's own line holds the release."""
    (tmp_path / "version.json").write_text(broken)
    _nvcc(tmp_path, "Cuda compilation tools, release 12.6, V12.6.20")
    assert identity.cuda(tmp_path) == ("12.6", "nvcc")


def test_no_cuda_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here, or a compiler that says something else or cannot run."""
    monkeypatch.setattr(identity, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert identity.cuda(tmp_path) == (None, None)
    _nvcc(tmp_path, "hello", 1)
    assert identity.cuda(tmp_path) == (None, None)
    (tmp_path / "bin" / "nvcc").write_bytes(b"\x00\x01")
    assert identity.cuda(tmp_path) == (None, None)


def test_a_torch_that_somebody_put_there_has_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module without a specification is not looked into."""

    def fail(name: str) -> None:
        raise ValueError(f"{name}.__spec__ is None")

    monkeypatch.setattr(identity, "find_spec", fail)
    monkeypatch.setenv("PATH", "")
    assert identity.cuda(tmp_path) == (None, None)


def test_the_container_is_known_by_the_file_its_runtime_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is there; a pod's variable before all; none outside."""
    files = ((tmp_path / "a", "podman"), (tmp_path / "b", "docker"))
    monkeypatch.setattr(identity, "_CONTAINER_FILES", files)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert identity.container() is None
    (tmp_path / "b").touch()
    assert identity.container() == "docker"
    (tmp_path / "a").touch()
    assert identity.container() == "podman"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert identity.container() == "kubernetes"
