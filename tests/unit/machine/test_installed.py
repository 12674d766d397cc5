from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from llenergymeasure.config.backend_section import spec_of
from llenergymeasure.machine.installed import available_memory_bytes, installed_version


def test_an_engine_is_known_by_its_package() -> None:
    """The version comes from the package's metadata; nothing is imported."""
    spec = spec_of("pytorch")
    assert installed_version(replace(spec, engine="no-such-engine")) is None
    assert installed_version(replace(spec, engine="psutil")) == psutil.__version__


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    """What the container may still take is all there is."""
    (tmp_path / "memory.max").write_text("3000000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("1000000\n", encoding="ascii")
    assert available_memory_bytes(tmp_path) == 2_000_000


@pytest.mark.parametrize("text", ["max\n", None], ids=["unlimited", "no container"])
def test_without_a_limit_the_systems_memory_counts(tmp_path: Path, text: str | None) -> None:
    """``max`` is no limit, nor is a file that does not exist."""
    if text is not None:
        (tmp_path / "memory.max").write_text(text, encoding="ascii")
    assert 0 < available_memory_bytes(tmp_path) <= psutil.virtual_memory().total
