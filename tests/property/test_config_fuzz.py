"""Configurations made at random, whole and broken: a valid configuration or a message that helps, and nothing else."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.cli.exits import EXIT_USAGE
from llenergymeasure.cli.main import main
from llenergymeasure.cli.overrides import Overrides
from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.config.study import STUDY_KEYS
from llenergymeasure.errors import ConfigError
from llenergymeasure.testing.broken_texts import case, kinds
from llenergymeasure.testing.config_texts import FIELDS, SECTIONS, as_yaml, experiment_data
from llenergymeasure.testing.refusals import read_as_llem, shortcomings

# Cases of one kind here; benchmarks/fuzz_config.py makes many more of the same.
_CASES = 40
# A generous limit on the processor's time for one file: what hangs takes for ever, a busy machine does not count.
_SECONDS = 20.0

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["bf16", "m", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from([*FIELDS, *SECTIONS, *STUDY_KEYS]) | st.text(max_size=8)


def outcome(path: Path, content: bytes) -> ConfigError | None:
    """Nothing for a valid file, else the refusal; it is complete."""
    path.write_bytes(content)
    begin = time.process_time()
    try:
        read_as_llem(path)
    except ConfigError as error:
        assert not list(shortcomings(str(error), error.hint, str(path), content)), f"{content[:2000]!r}\n{error}"
        return error
    finally:
        assert time.process_time() - begin < _SECONDS, content[:2000]
    return None


@pytest.mark.parametrize("kind", kinds())
def test_a_file_is_valid_or_refused_with_a_message_that_helps(tmp_path, kind):
    """File, line, suggestion; no other exception; what must be taken is taken and what must be refused is refused."""
    outcomes = set()
    for seed in range(_CASES):
        made = case(Random(f"{kind}{seed}"), kind)
        error = outcome(tmp_path / "a file.yaml", made.content)
        outcomes.add(error is None)
        assert made.valid in (None, error is None), f"{made.content[:2000]!r}\n{error}"
    assert outcomes


@given(st.dictionaries(_KEYS, _VALUES, max_size=6), st.randoms(use_true_random=False))
def test_any_values_under_any_keys(tmp_path_factory, data, random):
    """Whatever stands under the keys that we know, and under others."""
    text = as_yaml({"model": "m", **data}, random)
    outcome(tmp_path_factory.getbasetemp() / "any.yaml", text.encode("utf-8", "surrogatepass"))


@given(st.randoms(use_true_random=False))
def test_any_broken_file(tmp_path_factory, random):
    """The same files, drawn and made smaller by Hypothesis."""
    outcome(tmp_path_factory.getbasetemp() / "broken.yaml", case(random).content)


def test_the_files_know_every_field():
    """A field that is added to the experiment is added to what is tried here."""
    assert set(FIELDS) == set(ExperimentConfig.model_fields)


def test_the_command_refuses_as_the_library_does(tmp_path, monkeypatch):
    """``llem run FILE``: exit status 2, one error on stderr with file and line, nothing on stdout, no traceback."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "study.yaml"
    refused = 0
    for seed in range(120):
        made = case(Random(seed), kinds()[seed % len(kinds())])
        if made.valid is not False or outcome(path, made.content) is None:
            continue
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["run", str(path)])
        assert (status, out.getvalue()) == (EXIT_USAGE, "")
        assert err.getvalue().startswith(f"Error: {path}:") and "Traceback" not in err.getvalue()
        refused += 1
    assert refused > 40


_TEXT = st.text(max_size=12) | st.sampled_from(["", "~", "null", "1e999", "[1]", "9" * 400, "-1", "true", "a=b"])
_DOTTED = st.lists(
    st.sampled_from([*FIELDS, *SECTIONS, "execution", "n_cycles", "sweep", "max_new_tokens", "", "x"]), max_size=3
)


@pytest.mark.parametrize(
    "text",
    [
        "model: m\n",
        "model: m\nbackend: [pytorch, nosuch]\nsweep: {n: [1, 2]}\n",
        "model: m\ngroups: {a: [{n: 1}, {pytorch.batch_size: 2}]}\nwhere: ['n < 5']\nexperiments: [{random_seed: 1}]\n",
        "n: 5\n",
    ],
)
@given(
    sets=st.lists(st.tuples(_DOTTED.map(".".join) | st.text(max_size=8), _TEXT).map("=".join) | _TEXT, max_size=3),
    backend=st.none() | st.sampled_from(["pytorch", "nosuch", ""]) | st.text(max_size=4),
    batch_size=st.none() | st.integers(-2, 4),
)
def test_flags_are_laid_over_a_file_or_refused(tmp_path_factory, text, sets, backend, batch_size):
    """Whatever ``--set``, ``-b`` and ``--batch-size`` say; a mistake in a flag is never blamed on a line of the file."""
    path = tmp_path_factory.getbasetemp() / "flags.yaml"
    path.write_text(text)
    read = None
    try:
        flags = Overrides.of_flags(sets, backend=backend, batch_size=batch_size, shared={}, execution={})
        read = read_as_llem(path, flags)
    except ConfigError as error:
        assert str(error)
    if read is None and not sets and backend is None and batch_size is None:
        assert text == "n: 5\n"


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ("n=many", "flags: n: should be a whole number, found 'many'"),
        ("decoder.topp=1", "flags: unknown key 'topp' (did you mean 'top_p'?)"),
        ("backend=pytroch", "flags: backend: 'pytroch' is not a backend (did you mean 'pytorch'?)"),
        ("execution.n_cycles=0", "flags: execution.n_cycles: should be greater than or equal to 1, found 0"),
    ],
)
def test_a_wrong_flag_is_named_as_one(tmp_path, sets, said):
    """The file is fine, and its lines are not to blame."""
    path = tmp_path / "fine.yaml"
    path.write_text("model: m\nn: 5\nexecution: {n_cycles: 2}\n")
    with pytest.raises(ConfigError) as caught:
        flags = Overrides.of_flags([sets], backend=None, batch_size=None, shared={}, execution={})
        read_as_llem(path, flags)
    assert str(caught.value).split("\n")[0] == said


def test_a_valid_file_is_read_the_same_in_every_style(tmp_path):
    """Block or flow, any line ends, with or without a byte order mark."""
    path = tmp_path / "same.yaml"
    for seed in range(60):
        data = experiment_data(Random(seed))
        read = []
        for style in range(4):
            text = as_yaml(data, Random(style))
            path.write_bytes(("\ufeff" * (style % 2) + text.replace("\n", "\r\n" if style > 1 else "\n")).encode())
            read.append(read_as_llem(path))
        assert read[0] == read[1] == read[2] == read[3]
