from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from llenergymeasure import plugins
from llenergymeasure.errors import LLEMError
from llenergymeasure.plugins import Seam

Install = Callable[[str, str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one entry point and its module, for this test."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(seam: str, name: str, target: str, source: str) -> None:
        (tmp_path / f"{target.partition(':')[0]}.py").write_text(source)
        info = tmp_path / f"{name}_dist-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[llenergymeasure.{seam}]\n{name} = {target}\n")

    return install


def test_a_built_in_is_loaded_by_its_name() -> None:
    """A name leads to its object."""
    from llenergymeasure.runners.local import open_runner

    assert plugins.load("runners", "venv") is open_runner
    assert plugins.is_known("runners", "venv")


@pytest.mark.parametrize("seam", get_args(Seam))
def test_every_built_in_can_be_loaded(seam: Seam) -> None:
    """No name in the table leads nowhere, with or without its engine."""
    assert plugins.built_in(seam)
    for name in plugins.built_in(seam):
        assert plugins.load(seam, name) is not None


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A person who mistypes reads what there is; simulations are not offered."""
    with pytest.raises(LLEMError, match="'pytorhc' is not one of the backends known here") as caught:
        plugins.load("backends", "pytorhc")
    assert "pytorch" in caught.value.hint and "simulated" not in caught.value.hint
    assert not plugins.is_known("backends", "pytorhc")


def test_simulations_are_found_by_name_only() -> None:
    """They are never listed, and so never a default."""
    for seam in ("backends", "energy"):
        assert plugins.is_known(seam, "simulated")
        assert plugins.load(seam, "simulated") is not None
        assert "simulated" not in plugins.names(seam)


def test_an_installed_plug_in_is_found(install: Install) -> None:
    """What others install comes after the built-ins, in alphabetical order, and is loaded by name."""
    install("schedulers", "zebra", "zebra_plugin:open_it", "open_it = 'zebra'")
    install("schedulers", "ant", "ant_plugin:open_it", "open_it = 'ant'")
    assert plugins.names("schedulers") == (*plugins.built_in("schedulers"), "ant", "zebra")
    assert plugins.load("schedulers", "ant") == "ant"


def test_a_built_in_is_not_replaced(install: Install) -> None:
    """A plug-in cannot take a built-in's name."""
    install("runners", "local", "usurper:open_it", "open_it = 'usurper'")
    assert plugins.load("runners", "local") != "usurper"
    assert plugins.names("runners") == plugins.built_in("runners")


@pytest.mark.parametrize(
    ("target", "source", "words"),
    [
        ("broken_one:open_it", "1 / 0", "division by zero"),
        ("broken_two:open_it", "import not_there_at_all", "not_there_at_all"),
        ("broken_three:open_it", "", "open_it"),
    ],
)
def test_a_broken_plug_in_is_named_and_stops_nothing_else(
    install: Install, target: str, source: str, words: str
) -> None:
    """Whatever is wrong with it, the error says which plug-in it is; the others go on."""
    install("runners", "broken", target, source)
    with pytest.raises(LLEMError, match=rf"the plug-in 'broken' \({target}\) cannot be loaded: .*{words}"):
        plugins.load("runners", "broken")
    assert plugins.load("runners", "local")
    assert "broken" in plugins.names("runners")


def test_a_built_in_needs_no_scan() -> None:
    """Installed distributions are looked at only for a name that is not built in."""
    code = (
        "import sys; from llenergymeasure import plugins; plugins.load('runners', 'local'); plugins.built_in('energy')\n"
        "assert 'importlib.metadata' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
