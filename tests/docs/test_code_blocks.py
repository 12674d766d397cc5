"""The code of the README, the tutorials and the how-to pages does what it says: run page by page, with the real model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llenergymeasure.config.experiment import experiment_of
from llenergymeasure.config.study import is_study, study_of
from llenergymeasure.config.user import UserConfig
from llenergymeasure.config.yaml_strict import load_yaml
from llenergymeasure.models.cache import cache_dir

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/tutorials/*.md")), *sorted(ROOT.glob("docs/how-to/*.md"))]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)?(?P<rest>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"^<!-- not run: (.{4,}) -->$")
_SHELLS = ("bash", "console", "zsh", "fish")
_RUN = (*_SHELLS, "python", "yaml")
# What begins a shown line and stays from run to run; numbers, paths with times and signs do not.
_WORD = re.compile(r"^[A-Za-z][A-Za-z_]*(?:\.\w+)?$")
# A hanging command fails; a slow machine does not.
_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: ``line`` where it begins, ``title`` the file it stands for, ``not_run`` why nobody runs it."""

    line: int
    language: str
    text: str
    title: str | None
    not_run: str | None


def blocks_of(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = text.splitlines()
    row, above = 0, ""
    while row < len(lines):
        fence = _FENCE.match(lines[row])
        if fence is None:
            above = lines[row].strip() or above
            row += 1
            continue
        end = next(at for at in range(row + 1, len(lines)) if lines[at].strip() == "```")
        title, reason = _TITLE.search(fence["rest"]), _NOT_RUN.match(above)
        yield Block(
            line=row + 1,
            language=fence["language"] or "",
            text=textwrap.dedent("\n".join(lines[row + 1 : end])) + "\n",
            title=title[1] if title else None,
            not_run=reason[1] if reason else None,
        )
        row, above = end + 1, ""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _wanted(page: Path) -> list[Block]:
    return [block for block in blocks_of(page.read_text(encoding="utf-8")) if block.language in (*_RUN, "text")]


class Reader:
    """Somebody who types a page in, from an empty folder and with an empty home; only the cache of models is shared."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._printed = ""
        home = folder / "home"
        home.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("LLEM_", "XDG_", "PYTHONPATH"))}
        self._environment = kept | {
            "HOME": str(home),
            "LLEM_CACHE_DIR": str(cache_dir()),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def follow(self, block: Block) -> None:
        """Do what the block says. Raises ``AssertionError`` where it does not work."""
        if block.language == "text":
            self._compare(block)
            return
        self._printed = ""
        if block.not_run is None:
            if block.title is not None:
                (self._folder / block.title).write_text(block.text, encoding="utf-8")
            if block.language == "yaml":
                self._load(block)
            elif block.language == "python":
                self._run([sys.executable, "-c", block.text], block)
            else:
                self._run_in_shell(block)

    def _run_in_shell(self, block: Block) -> None:
        shell = "bash" if block.language == "console" else block.language
        if shutil.which(shell) is None and shell != "bash":
            # Its owner's shell is not here: what it would evaluate must at least be printed.
            asked = re.findall(r"_LLEM_COMPLETE=\w+_source llem", block.text)
            assert asked, f"line {block.line}: {shell} is not installed, and the block asks for no completion script"
            self._run(["bash", "-c", asked[0]], block)
            return
        text = block.text
        if block.language == "console":
            text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
        self._run([shell, *(["-e"] if shell != "fish" else []), "-c", text], block)

    def _run(self, command: list[str], block: Block) -> None:
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        self._printed = done.stdout
        assert done.returncode == 0, f"line {block.line} ended with {done.returncode}:\n{done.stdout[-3000:]}"

    def _load(self, block: Block) -> None:
        """As the file that it is: a study, an experiment, or the user's configuration."""
        path = self._folder / (block.title or f"line-{block.line}.yaml")
        path.write_text(block.text, encoding="utf-8")
        document = load_yaml(path)
        assert document.data, f"line {block.line}: an empty file"
        if set(document.data) <= set(UserConfig.model_fields):
            UserConfig.model_validate(document.data)
        elif is_study(document.data):
            assert study_of(document).name
        else:
            assert experiment_of(document).model

    def _compare(self, block: Block) -> None:
        """What a page shows below a command still begins, line by line, as the command prints it."""
        if not self._printed:
            return
        words = {line.split()[0] for line in self._printed.splitlines() if line.strip()}
        shown = {line.split()[0] for line in block.text.splitlines() if line.strip()}
        gone = {word for word in shown if _WORD.match(word)} - words
        assert not gone, f"line {block.line}: the page shows {sorted(gone)}, the command printed:\n{self._printed}"


@pytest.mark.e2e
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """Block after block in one folder: commands and programs succeed, files load, shown output still looks like it."""
    blocks = _wanted(page)
    assert blocks
    if any("llem run" in block.text or "run_experiment" in block.text for block in blocks if block.not_run is None):
        pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    reader = Reader(tmp_path)
    for block in blocks:
        reader.follow(block)


def test_what_is_not_run_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks of a page are of a language that is run or shown; those left out are few, and printed."""
    left_out = []
    for page in PAGES:
        for block in blocks_of(page.read_text(encoding="utf-8")):
            assert block.language in (*_RUN, "text", "toml"), f"{_name(page)}, line {block.line}: {block.language!r}"
            if block.not_run is not None:
                assert block.language in _RUN
                left_out.append(f"  {_name(page)}, line {block.line}: {block.not_run}")
    with capsys.disabled():
        print("\nblocks of the documentation that are not run:", *left_out, sep="\n")  # noqa: T201
    run = sum(block.not_run is None for page in PAGES for block in _wanted(page) if block.language in _RUN)
    assert run > len(left_out) > 0


@pytest.mark.parametrize(
    ("above", "reason"), [("<!-- not run: it is late -->", "it is late"), ("<!-- something else -->", None)]
)
def test_only_a_reason_right_above_a_block_leaves_it_out(above: str, reason: str | None) -> None:
    """The comment belongs to the next block alone, and other comments to none."""
    page = f'{above}\n\n```bash\none\n```\n\n```yaml title="two.yaml"\ntwo: 2\n```\n'
    assert list(blocks_of(page)) == [
        Block(3, "bash", "one\n", None, reason),
        Block(7, "yaml", "two: 2\n", "two.yaml", None),
    ]


def test_shown_output_must_begin_as_printed_output(tmp_path: Path) -> None:
    """A line that a command no longer prints is found; numbers and what begins with a sign are not compared."""
    reader = Reader(tmp_path)
    reader.follow(Block(1, "bash", "echo 'Energy 12 J'\n", None, None))
    reader.follow(Block(2, "text", "Energy  99 J\n  ✓ 5\n…\n", None, None))
    with pytest.raises(AssertionError, match="Joules"):
        reader.follow(Block(3, "text", "Joules  99\n", None, None))


def test_a_block_that_fails_fails_its_page(tmp_path: Path) -> None:
    """The first command that fails ends a bash block, also when a later one would succeed."""
    with pytest.raises(AssertionError, match="line 1 ended with"):
        Reader(tmp_path).follow(Block(1, "bash", "false\necho on\n", None, None))
