from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import llenergymeasure
from llenergymeasure.backends.llamacpp import BACKEND

SOURCE = str(Path(llenergymeasure.__file__).parents[1])

PROBE = """
import json
from llenergymeasure.backends.llamacpp import BACKEND
from llenergymeasure.model.codec import encode
found = BACKEND.probe()
print(json.dumps([type(found).__name__, encode(found)]))
"""


def probed(path: Path) -> tuple[str, dict]:
    """The probe in a bare interpreter, where only what lies in ``path`` is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROBE],
        env={"PYTHONPATH": f"{path}:{SOURCE}"},
        capture_output=True,
        text=True,
        check=True,
    )
    name, fields = json.loads(done.stdout.splitlines()[-1])
    return name, fields


def install(folder: Path, version: str, code: str) -> Path:
    """Something that calls itself xllamacpp."""
    (folder / "xllamacpp.py").write_text(code)
    metadata = folder / f"xllamacpp-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: xllamacpp\nVersion: {version}\n")
    return folder


def test_an_engine_that_is_not_installed_is_missing(tmp_path):
    """The probe says that it is missing and how to get it."""
    kind, missing = probed(tmp_path)
    assert (kind, missing["reason"]) == ("Missing", "xllamacpp is not installed")
    assert "pip install" in missing["remedy"]
    assert "llenergymeasure" not in missing["remedy"]


def test_an_engine_that_is_too_old_is_missing(tmp_path):
    """An old engine is not imported; the versions are named."""
    kind, missing = probed(install(tmp_path, "0.2.14", "raise SystemExit(1)"))
    assert kind == "Missing"
    assert "0.2.14" in missing["reason"]
    assert BACKEND.spec.minimum_version in missing["reason"]


@pytest.mark.parametrize(
    "code", ["import no_such_library", "raise RuntimeError('GLIBC too old')", "raise OSError('libomp.so')"]
)
def test_an_engine_that_cannot_be_imported_is_missing(tmp_path, code):
    """Whatever the import raises becomes the reason."""
    kind, missing = probed(install(tmp_path, "2026.10.1", code))
    assert kind == "Missing"
    assert "cannot be imported" in missing["reason"]


def test_an_engine_that_is_here_is_found(tmp_path):
    """The probe gives its version and the devices that it sees."""
    code = """
import enum
words = ("CPU", "GPU", "IGPU")
names = {f"GGML_BACKEND_DEVICE_TYPE_{word}": number for number, word in enumerate(words)}
ggml_backend_dev_type = enum.IntEnum("ggml_backend_dev_type", names)
def get_device_info():
    return [{"name": "CUDA0", "type": ggml_backend_dev_type(1)}]
"""
    kind, found = probed(install(tmp_path, "2026.10.1", code))
    assert (kind, found["engine"], found["version"], found["devices"]) == (
        "Found",
        "xllamacpp",
        "2026.10.1",
        ["cpu", "cuda"],
    )
    assert found["interpreter"]["packages"] == {"xllamacpp": "2026.10.1"}


def test_importing_the_backend_imports_no_engine_and_no_network():
    """The spec is read by every dry run: what only an open model needs is not loaded with it."""
    code = "import sys, llenergymeasure.backends.llamacpp; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": SOURCE}, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "llenergymeasure.backends.llamacpp" in loaded
    assert not {"xllamacpp", "http.client", "socket", "concurrent.futures"} & loaded
