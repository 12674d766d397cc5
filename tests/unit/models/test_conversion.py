"""Which form of a model a backend opens."""

from dataclasses import dataclass

import pytest

from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.job import ModelRef
from llenergymeasure.models.conversion import NeedsConversion, Unfit, conversion_target, model_for
from llenergymeasure.models.directory import open_directory
from llenergymeasure.models.gguf_file import open_gguf
from llenergymeasure.testing.model_files import write_gguf, write_model


@dataclass(frozen=True)
class Options:
    """No options."""


def spec(*formats, converts=False):
    return BackendSpec(
        name="engine",
        engine="engine",
        minimum_version="1",
        remedy="",
        options=Options,
        concurrency_option="",
        batching="static",
        formats=formats,
        precisions=(),
        decoding=(),
        devices=(),
        token_times=False,
        accepts_token_ids=True,
        converts_gguf=converts,
    )


@pytest.fixture
def gguf(tmp_path, monkeypatch):
    monkeypatch.setenv("LLEM_CACHE_DIR", str(tmp_path / "cache"))
    return open_gguf(write_gguf(tmp_path / "tiny model.gguf"))


def test_a_backend_that_reads_the_format_gets_the_model_as_it_is(gguf):
    """A GGUF is opened as it is by a backend that reads GGUF."""
    assert model_for(spec("gguf"), gguf) is gguf


def test_a_gguf_whose_blocks_are_kept_is_not_converted(gguf):
    """``quantization: gguf`` runs what the file holds."""
    assert model_for(spec("directory", converts=True), gguf, packed=True) is gguf


def test_a_gguf_is_converted_once(gguf):
    """A backend that reads directories asks for a conversion, and uses it when it is there."""
    pending = model_for(spec("directory", converts=True), gguf)
    assert isinstance(pending, NeedsConversion)
    write_model(pending.destination)
    model = model_for(spec("directory", converts=True), gguf)
    assert isinstance(model, ModelRef)
    assert (model.format, model.path, model.quantised) == ("directory", str(pending.destination), False)
    assert (model.name, model.weights_sha256, model.architecture) == (gguf.name, gguf.weights_sha256, gguf.architecture)
    assert gguf.architecture is not None
    assert model.weight_bytes is not None
    assert model.weight_bytes >= 2 * gguf.architecture.parameters


def test_a_damaged_conversion_is_made_again(gguf):
    """A conversion whose weights are not whole does not pass for one."""
    destination = write_model(conversion_target(gguf))
    weights = destination / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert isinstance(model_for(spec("directory", converts=True), gguf), NeedsConversion)


def test_a_gguf_without_a_way_to_convert_does_not_fit(gguf):
    """A backend that neither reads nor converts GGUF says so."""
    answer = model_for(spec("directory"), gguf)
    assert isinstance(answer, Unfit)
    assert "GGUF" in answer.reason


def test_a_directory_does_not_fit_a_backend_of_gguf(tmp_path):
    """A backend that reads GGUF alone names what would help."""
    model = open_directory(write_model(tmp_path / "m"), name="m", revision=None, weights="real")
    answer = model_for(spec("gguf"), model)
    assert isinstance(answer, Unfit)
    assert "hf download" in answer.remedy


def test_the_place_of_a_conversion_follows_the_weights(gguf, tmp_path):
    """Two files of one name with different weights are converted to two places, in the cache and without spaces."""
    data = bytearray((tmp_path / "tiny model.gguf").read_bytes())
    data[-1] = 1
    other = tmp_path / "other" / "tiny model.gguf"
    other.parent.mkdir()
    other.write_bytes(data)
    places = {conversion_target(gguf), conversion_target(open_gguf(other))}
    assert len(places) == 2
    assert all(place.parent.parent.parent == tmp_path / "cache" and " " not in place.name for place in places)


def test_unidentified_weights_have_no_place():
    """Without a digest two models could share a folder; so there is none."""
    with pytest.raises(ConfigError, match="not identified"):
        conversion_target(ModelRef("m.gguf", "m.gguf", "gguf"))
