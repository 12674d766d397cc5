"""YAML as a person means it."""

from pathlib import Path

import pytest

from llenergymeasure.config.yaml_strict import load_yaml, parse_yaml
from llenergymeasure.errors import ConfigError

HERE = Path("study.yaml")


def values(text):
    return parse_yaml(text, HERE).data


def test_scalars_mean_what_a_person_means():
    """Country codes and times stay text, numbers of every spelling are numbers."""
    data = values(
        "a: no\nb: 12:30\nc: 1e3\nd: 08\ne: 2024-01-01\nf: ~\ng: true\nh: 0x10\ni: 1_000\nj: .5\nk: '5'\nl: on\n"
    )
    assert data == {
        "a": "no",
        "b": "12:30",
        "c": 1000.0,
        "d": 8,
        "e": "2024-01-01",
        "f": None,
        "g": True,
        "h": 16,
        "i": 1000,
        "j": 0.5,
        "k": "5",
        "l": "on",
    }


def test_a_number_remembers_how_it_was_written():
    """A revision that looks like a float can be used as the text it is."""
    assert values("revision: 12e4567")["revision"].text == "12e4567"
    assert values("revision: 0012")["revision"].text == "0012"


def test_lines_are_known_for_keys_and_entries():
    """Each key and list entry has its line, and a path below a leaf falls back to it."""
    document = parse_yaml("model: x\nsweep:\n  n: [1,\n      2]\n", HERE)
    assert document.line_of(("model",)) == 1
    assert document.line_of(("sweep", "n")) == 3
    assert document.line_of(("sweep", "n", 1)) == 4
    assert document.line_of(("sweep", "n", 1, "deeper")) == 4
    assert document.line_of(("elsewhere",)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"study.yaml:2:1: 'a' stands here again \(first in line 1\)"),
        ("a: [1, 2\nb: 3\n", r"study.yaml:2:"),
        ("a: !!python/object:os.system x\n", "not allowed"),
        ("a: *nothing\n", "refers to nothing"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("- 1\n- 2\n", "expected settings"),
        ("", "empty"),
        ("{a: {[1]: 2}}", "cannot be a key"),
        ("<<: 5\n", "needs a mapping"),
        ("m: 1\na: \x00\n", r"study.yaml:2: the character U\+0000 is not allowed"),
        ("[" * 5000, "nesting depth"),
        ("[" * 70 + "]" * 70, "levels deep"),
        ("a: &a [*a]\n", "refers to nothing"),
    ],
)
def test_mistakes_are_told_with_their_place(text, message):
    """Each mistake is a ConfigError that names the file and what is wrong."""
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, HERE)


def test_aliases_cannot_grow_without_measure():
    """Nine levels of ten aliases each stand for a billion values, and are refused."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(ConfigError, match="more than"):
        values("\n".join(lines))


def test_merge_keys_never_replace_what_stands():
    """What ``<<`` brings in gives way to the mapping's own keys."""
    data = values("base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n")
    assert data["use"] == {"a": 1, "b": 3}


def test_an_alias_is_a_copy():
    """Changing one use of an anchor leaves the other as it is."""
    data = values("a: &x {k: [1]}\nb: *x\n")
    data["a"]["k"].append(2)
    assert data["b"] == {"k": [1]}


def test_files_are_read_or_refused_by_name(tmp_path):
    """A missing file, one that is not text and one with a byte order mark."""
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_yaml(tmp_path / "binary.yaml")
    (tmp_path / "bom.yaml").write_bytes("\ufeffmodel: x\n".encode())
    assert load_yaml(tmp_path / "bom.yaml").data == {"model": "x"}
