"""From names to models."""

import json
import subprocess
import sys

import pytest
from huggingface_hub import constants

from llenergymeasure.errors import ConfigError
from llenergymeasure.model.job import ModelRef
from llenergymeasure.models.builtin import SMOLLM2
from llenergymeasure.models.resolve import NotLocal, find_model, known_locally
from llenergymeasure.testing.model_files import TINY_LLAMA, write_gguf, write_model

COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A cache of our own, and a hub that is never asked."""
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def found(name, base, *, weights="real", revision=None):
    return find_model(name, revision, base=base, weights=weights, say=lambda message, fraction=None: None)


def refused(name, base, *, weights="real", revision=None):
    """The error of ``find_model``, which ``known_locally`` must list as a problem."""
    with pytest.raises(ConfigError) as caught:
        found(name, base, weights=weights, revision=revision)
    answer = known_locally(name, revision, base=base, weights=weights)
    assert isinstance(answer, NotLocal)
    assert answer.problems
    assert caught.value.hint
    return f"{caught.value} ({caught.value.hint})"


def test_paths_count_from_the_configuration(tmp_path):
    """A relative path is taken from the folder of the file that names it, not from where llem runs."""
    write_gguf(tmp_path / "tiny.gguf")
    write_model(tmp_path / "models" / "tiny")
    file, folder = found("tiny.gguf", tmp_path), found("./models/tiny", tmp_path)
    assert (file.name, file.format, file.path) == ("tiny.gguf", "gguf", str(tmp_path / "tiny.gguf"))
    assert (folder.name, folder.format, folder.path) == ("tiny", "directory", str(tmp_path / "models" / "tiny"))
    assert None not in (file.weights_sha256, folder.weights_sha256)
    assert known_locally("tiny.gguf", None, base=tmp_path) == file
    assert known_locally("./models/tiny", None, base=tmp_path) == folder


def test_a_directory_comes_before_the_hub(tmp_path):
    """A name that could be on the hub and is a directory here is the directory."""
    write_model(tmp_path / "owner" / "tiny")
    assert found("owner/tiny", tmp_path).path == str(tmp_path / "owner" / "tiny")


def test_a_dot_is_named_after_its_directory(tmp_path):
    """The current directory is known by its name."""
    write_model(tmp_path / "tiny")
    assert found(".", tmp_path / "tiny").name == "tiny"


def test_a_preset_is_a_directory_with_a_configuration(tmp_path):
    """A preset with random weights is opened like any architecture."""
    model = found("preset:qwen3-0.6b", tmp_path, weights="random")
    assert (model.name, model.format, model.weight_bytes) == ("preset:qwen3-0.6b", "directory", None)
    assert model.architecture is not None
    assert model.architecture.parameters == 596_049_920


def test_a_configuration_file_is_an_architecture(tmp_path):
    """A config.json under any name serves for random weights."""
    (tmp_path / "tiny.json").write_text(json.dumps(TINY_LLAMA))
    model = found("tiny.json", tmp_path, weights="random")
    assert model.name == "tiny.json"
    assert model.architecture is not None


def test_a_cached_model_of_the_hub_is_found_by_its_commit(tmp_path):
    """What the hub's cache holds is known with its commit, by which its weights are known."""
    repository = tmp_path / "hub" / "models--owner--tiny"
    write_model(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    model = found("owner/tiny", tmp_path)
    assert (model.name, model.revision, model.weights_sha256) == ("owner/tiny", COMMIT, None)
    assert known_locally("owner/tiny", None, base=tmp_path) == model
    assert known_locally("owner/tiny", COMMIT, base=tmp_path, network=True) == model


def test_a_model_to_download_is_no_problem(tmp_path, monkeypatch):
    """A model that is not here yet is announced; offline that is a problem."""
    offline = known_locally("owner/tiny", None, base=tmp_path)
    assert isinstance(offline, NotLocal)
    assert offline.problems
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    online = known_locally("owner/tiny", None, base=tmp_path)
    assert isinstance(online, NotLocal)
    assert online.problems == ()


def test_the_hub_is_asked_only_with_leave(tmp_path, monkeypatch):
    """With a network a hub that does not answer is a problem."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    answer = known_locally("owner/tiny", None, base=tmp_path, network=True)
    assert isinstance(answer, NotLocal)
    assert "cannot be reached" in answer.problems[0]


def test_the_builtin_says_its_download(tmp_path):
    """Before its first use the builtin is announced with its size; once cached it is known by the digest of the whole file."""
    assert known_locally(SMOLLM2.name, None, base=tmp_path) == NotLocal(
        "builtin:smollm2-135m: is downloaded on first use", SMOLLM2.download_bytes
    )
    SMOLLM2.cached.parent.mkdir(parents=True)
    write_gguf(SMOLLM2.cached)
    with open(SMOLLM2.cached, "r+b") as file:
        file.truncate(SMOLLM2.bytes)
    model = known_locally(SMOLLM2.name, None, base=tmp_path)
    assert isinstance(model, ModelRef)
    assert (model.name, model.weights_sha256) == (SMOLLM2.name, SMOLLM2.sha256)


@pytest.mark.parametrize(
    ("name", "weights", "says"),
    [
        ("builtin:nothing", "real", "builtin:smollm2-135m"),
        ("builtin:smollm2-135m", "random", "preset:smollm2-135m"),
        ("preset:nothing", "random", "preset:llama-3.1-8b"),
        ("preset:llama-3.1-8b", "real", "weights: random"),
        ("absent.gguf", "real", "paths count from"),
        ("owner/tiny/tiny.Q4_0.gguf", "real", "hf download owner/tiny tiny.Q4_0.gguf"),
        ("tiny.gguf", "random", "real weights only"),
        ("config.json", "real", "weights: random"),
        ("./absent", "real", "there is no directory"),
        ("/absent/model", "real", "there is no directory"),
        ("./notes.txt", "real", "no backend opens"),
        ("not a name", "real", "there is no directory"),
    ],
)
def test_names_that_lead_nowhere_say_what_would(tmp_path, name, weights, says):
    """Each wrong name is answered with what is right, in the run and in the dry run alike."""
    write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "config.json").write_text("{}")
    assert says in refused(name, tmp_path, weights=weights)


def test_a_revision_belongs_to_the_hub(tmp_path):
    """A revision of a local file means nothing and is refused."""
    write_gguf(tmp_path / "tiny.gguf")
    assert "model_revision" in refused("tiny.gguf", tmp_path, revision="main")


def test_a_broken_directory_lists_every_problem(tmp_path):
    """Pre-flight learns of all that a directory lacks at once."""
    answer = known_locally("./", None, base=tmp_path)
    assert isinstance(answer, NotLocal)
    assert len(answer.problems) == 3


def test_a_dry_run_loads_no_client(tmp_path):
    """Looking for a model locally imports neither an HTTP client nor an engine."""
    code = (
        "import sys; from pathlib import Path; from llenergymeasure.models.resolve import known_locally;"
        "known_locally('owner/tiny', None, base=Path('.')); known_locally('builtin:smollm2-135m', None, base=Path('.'));"
        "heavy = {'huggingface_hub.hf_api', 'httpx', 'httpx2', 'requests', 'numpy', 'pydantic', 'torch', 'filelock'};"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
