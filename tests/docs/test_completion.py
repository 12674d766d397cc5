"""Completion answers what shells ask, and loads nothing for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LLEM = str(Path(sys.executable).with_name("llem"))

# What no press of a key may wait for.
_HEAVY = {"numpy", "pandas", "pyarrow", "pydantic", "rich", "scipy", "torch", "transformers", "xllamacpp", "yaml"}


def _ask(command: list[str], **variables: str) -> str:
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "place", "answers"),
    [
        ("llem ", 1, {"run", "config"}),
        ("llem run --ba", 2, {"--backend", "--batch-size"}),
        ("llem config --schema ", 3, {"experiment", "study", "user", "result"}),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_and_choices_are_completed(shell: str, words: str, place: int, answers: set[str]) -> None:
    """By the protocol of each shell's script."""
    # fish tells the unfinished word where the others tell its place.
    where = words.rpartition(" ")[2] if shell == "fish" else str(place)
    printed = _ask([LLEM], _LLEM_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=where)
    assert answers <= set(re.split(r"[\s,]+", printed))


def test_bash_completes_with_the_script_that_is_printed() -> None:
    """The line of the documentation, then what bash does on a tab."""
    script = (
        'eval "$(_LLEM_COMPLETE=bash_source llem)"\nCOMP_WORDS=(llem run --ba); COMP_CWORD=2\n_llem_completion llem\n'
    )
    path = f"{Path(LLEM).parent}{os.pathsep}{os.environ['PATH']}"
    printed = _ask(["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'], PATH=path)
    assert printed.split() == ["--backend", "--batch-size"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_too(shell: str) -> None:
    """It hands the words over to llem."""
    assert f"_LLEM_COMPLETE={shell}_complete" in _ask([LLEM], _LLEM_COMPLETE=f"{shell}_source")


def test_completion_loads_nothing_heavy() -> None:
    """Nothing but the command line is imported to complete an option."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted(sys.modules), sep='\\n'))\n"
        "from llenergymeasure.cli.main import main\n"
        "main([])"
    )
    asked = {"_LLEM_COMPLETE": "bash_complete", "COMP_WORDS": "llem run --ba", "COMP_CWORD": "2"}
    printed = _ask([sys.executable, "-c", program], **asked).splitlines()
    assert "plain,--batch-size" in printed
    loaded = {line.partition(".")[0] for line in printed}
    assert "click" in loaded
    assert loaded & _HEAVY == set()
