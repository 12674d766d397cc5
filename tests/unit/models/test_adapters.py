"""LoRA adapters: where they are found, and what is said when they are not."""

import json

import pytest

from llenergymeasure.config.sections import LoraConfig
from llenergymeasure.errors import ConfigError
from llenergymeasure.models import hub
from llenergymeasure.models.adapters import find_adapter


def _adapter(folder, weights=b"weights"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def find(tmp_path, **fields):
    return find_adapter(LoraConfig(**fields), base=tmp_path, say=lambda message, fraction=None: None)


def test_a_directory_counts_from_the_configurations_folder(tmp_path):
    """Its name travels, its place does not; the digest tells other weights apart."""
    _adapter(tmp_path / "a" / "tuned")
    _adapter(tmp_path / "b" / "tuned", b"others!")
    first = find(tmp_path, adapter_path="a/tuned", merge_weights=True)
    assert (first.name, first.path, first.merge_weights) == ("tuned", str(tmp_path / "a" / "tuned"), True)
    assert first.revision is None
    second = find(tmp_path, adapter_path=str(tmp_path / "b" / "tuned"))
    assert first.sha256 and second.sha256 and first.sha256 != second.sha256
    assert not second.merge_weights


@pytest.mark.parametrize("lacking", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_directory_without_an_adapter_is_refused(tmp_path, lacking):
    """The message names the folder that was looked at, the hint what belongs there."""
    (_adapter(tmp_path / "x") / lacking).unlink()
    with pytest.raises(ConfigError) as refused:
        find(tmp_path, adapter_path="x")
    assert str(tmp_path / "x") in str(refused.value)
    assert lacking in refused.value.hint


@pytest.fixture
def offline(tmp_path, monkeypatch):
    place = hub.Hub(tmp_path / "hub", offline=True)
    monkeypatch.setattr(hub, "hub_here", lambda: place)
    return place


def test_an_adapter_in_the_hubs_cache_needs_no_network(tmp_path, offline):
    """The commit is recorded."""
    commit = "a" * 40
    repository = offline.folder / "models--me--tuned"
    _adapter(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    found = find(tmp_path, adapter_id="me/tuned")
    assert (found.name, found.revision) == ("me/tuned", commit)
    assert found.path == str(repository / "snapshots" / commit)


def test_offline_an_adapter_that_is_not_cached_is_refused(tmp_path, offline):
    """With the command that fetches it."""
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE") as refused:
        find(tmp_path, adapter_id="me/tuned")
    assert "hf download me/tuned" in refused.value.hint
