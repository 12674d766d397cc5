from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from llenergymeasure.cli.group import llem

# Too heavy for whoever only asks for help, and the engines' own.
_HEAVY = {"numpy", "pandas", "pyarrow", "pydantic", "rich", "scipy", "torch", "transformers", "xllamacpp", "yaml"}


def _loaded(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after ``code``."""
    program = f"import sys\n{code}\nprint('\\n', *sorted(sys.modules), sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    loaded = {line.partition(".")[0] for line in ended.stdout.splitlines()}
    assert "llenergymeasure" in loaded
    return loaded


def _run(*arguments: str) -> str:
    return f"from llenergymeasure.cli.main import main\nassert main({list(arguments)!r}) == 0"


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)], ids=" ".join)
def test_asking_for_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    """Help and version are there at once: no library of the host's but the command line's."""
    assert _loaded(_run(*arguments)) & _HEAVY == set()


@pytest.mark.parametrize("command", llem.list_commands(click.Context(llem)))
def test_a_commands_help_loads_nothing_heavy(command: str) -> None:
    """Nor does the help of any command."""
    assert _loaded(_run(command, "--help")) & _HEAVY == set()


def test_a_dry_run_loads_no_engine_and_no_library_of_numbers(own_cache: Path) -> None:
    """A plan is there at once: what it needs is configuration, text and the standard library."""
    arguments = (
        "-m",
        "preset:smollm2-135m",
        "--set",
        "weights=random",
        "-b",
        "pytorch",
        "-d",
        "synthetic",
        "--dry-run",
    )
    for form in ((), ("--json",)):
        assert _loaded(_run("run", *arguments, *form)) & (_HEAVY - {"pydantic", "yaml"}) == set()


@pytest.mark.parametrize("process", ["trial", "meter", "worker"])
def test_the_processes_of_a_trial_start_light(process: str) -> None:
    """Three of them start between two windows: none loads a library of the host's that it may never need."""
    assert _loaded(f"import llenergymeasure.{process}.__main__") & _HEAVY == set()


def test_importing_the_package_loads_nothing() -> None:
    """``import llenergymeasure`` costs nothing: public names are imported when they are asked for."""
    loaded = _loaded("import llenergymeasure")
    assert loaded & (_HEAVY | {"click", "psutil", "filelock", "platformdirs", "huggingface_hub"}) == set()


def test_the_version_is_there_without_an_import() -> None:
    """Asking for the version of the package loads no more than the package."""
    code = "import llenergymeasure\nassert llenergymeasure.__version__"
    assert _loaded(code) & (_HEAVY | {"click"}) == set()


@pytest.mark.parametrize("module", ["worker.__main__", "worker.recipe", "backends.contract", "plugins", "model.trace"])
def test_the_workers_world_is_the_standard_library(module: str) -> None:
    """What runs beside an engine brings no third-party module along."""
    loaded = _loaded(f"import llenergymeasure.{module}")
    ours = {"llenergymeasure", "__main__", "sitecustomize", "usercustomize", "_distutils_hack"}
    foreign = {name for name in loaded if name and name not in sys.stdlib_module_names | ours}
    bare = _loaded("import llenergymeasure")
    assert {name for name in foreign if not name.startswith("__editable__")} <= bare
