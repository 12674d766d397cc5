"""Result files, whole and spoilt: a result or a ``StoreError`` that names the file."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure import load_results
from llenergymeasure.errors import StoreError
from llenergymeasure.plan.plan import Plan
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.study.manifest import read_manifest
from llenergymeasure.testing.builders import experiment_result

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
_BYTES = (
    b"", b"null", b"[]", b"5", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 6000,
    b'{"n": ' + b"9" * 6000 + b"}",
    b"NaN", b'{"schema_version": null}', b'{"schema_version": "9.0"}', b'{"schema_version": [2]}', b"\x00" * 100,
    b'"' + b"a" * 100_000 + b'"', b"[" + b"1," * 200_000 + b"1]",
)  # fmt: skip


def load(path, content):
    """The result in these bytes; ``None`` after a refusal, which names the file and is not endless."""
    path.write_bytes(content)
    try:
        return ExperimentResult.from_json(path)
    except StoreError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error)) < 20_000
        return None


def places(value, here=()):
    yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*here, key))


def changed(value, place, to):
    if not place:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = changed(value[place[0]], place[1:], to)
    return copy


@pytest.mark.parametrize("content", _BYTES, ids=lambda content: repr(content[:12]))
def test_what_is_no_result_is_refused(tmp_path, content):
    """Empty, cut, binary, endlessly nested or enormous."""
    assert load(tmp_path / "result.json", content) is None
    with pytest.raises(StoreError, match=r"result\.json"):
        load_results(tmp_path / "result.json")


@given(st.data())
def test_any_value_at_any_place_of_a_result(tmp_path_factory, data):
    """A result whose parts were changed loads, or is refused by name."""
    whole = json.loads(experiment_result().to_json())
    place = data.draw(st.sampled_from(list(places(whole))))
    spoilt = changed(whole, place, data.draw(_JSON))
    loaded = load(tmp_path_factory.getbasetemp() / "changed.json", json.dumps(spoilt).encode())
    if loaded is not None:
        assert loaded.summary()


def test_a_cut_result_is_refused(tmp_path):
    """However much of it was written."""
    text = experiment_result().to_json().strip().encode()
    random = Random(0)
    assert load(tmp_path / "result.json", text) is not None
    assert all(load(tmp_path / "result.json", text[: random.randrange(len(text))]) is None for _ in range(60))


@pytest.mark.parametrize("content", _BYTES, ids=lambda content: repr(content[:12]))
def test_a_spoilt_manifest_is_refused(tmp_path, content):
    """``llem run --resume`` of a folder whose plan cannot be read says so."""
    (tmp_path / "study_manifest.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"study_manifest\.json"):
        assert isinstance(read_manifest(tmp_path), Plan)
