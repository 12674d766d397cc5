"""What holds for any data file, any pool and any lengths."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.config.dataset import SyntheticOptions
from llenergymeasure.datasets.files import open_file
from llenergymeasure.datasets.resolve import choose
from llenergymeasure.datasets.rows import READERS
from llenergymeasure.datasets.synthetic import SyntheticPrompts
from llenergymeasure.datasets.table import Columns
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.inputs import Prompt

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
# CSV has one kind of line break: a lone carriage return inside a cell does not survive every writer.
LINES = TEXT.map(lambda text: text.replace("\r", ""))


def prompts_in(name: str, content: bytes) -> tuple[Prompt, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return open_file(path, Columns()).prompts(1000, 0)


def as_csv(texts: list[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["text"], *([text] for text in texts)])
    return file.getvalue().encode()


def as_parquet(texts: list[str]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), sink, row_group_size=3)
    return sink.getvalue().to_pybytes()


@given(st.lists(LINES, max_size=12))
def test_texts_come_back_from_every_format(texts: list[str]) -> None:
    """Whatever the characters; only blank texts are left out."""
    kept = [text for text in texts if text.strip()]
    rows = [json.dumps({"text": text}, ensure_ascii=len(text) % 2 == 0) for text in texts]
    for name, content in (
        ("a.jsonl", "\n".join(rows).encode()),
        ("a.json", f"[{','.join(rows)}]".encode()),
        ("a.csv", as_csv(texts)),
        ("a.parquet", as_parquet(texts)),
    ):
        assert [prompt.text for prompt in prompts_in(name, content)] == kept, name


@pytest.mark.parametrize("suffix", READERS)
@given(content=st.binary(max_size=200) | TEXT.map(str.encode))
def test_any_bytes_are_prompts_or_a_named_mistake(suffix: str, content: bytes) -> None:
    """Nothing but a ConfigError that names the file leaves a reader."""
    try:
        found = prompts_in(f"fuzz{suffix}", content)
    except ConfigError as error:
        assert f"fuzz{suffix}" in str(error)
    else:
        assert all(prompt.text.strip() or prompt.messages for prompt in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "messages", "role", "content", "max_new_tokens"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=4))
def test_any_json_is_prompts_or_a_mistake_with_its_line(rows: list[object]) -> None:
    """A row of any shape is read, or refused with file and line."""
    try:
        found = prompts_in("fuzz.jsonl", "\n".join(map(json.dumps, rows)).encode())
    except ConfigError as error:
        assert "fuzz.jsonl:" in str(error)
    else:
        assert len(found) <= len(rows)


class Pool:
    """Numbered prompts."""

    name, sha256, licence = "pool", "0" * 64, None

    def __init__(self, size: int) -> None:
        self.size = size

    def prompts(self, n: int, seed: int) -> tuple[Prompt, ...]:
        return tuple(Prompt(str(number)) for number in range(min(n, self.size)))


@given(
    st.integers(0, 60), st.integers(1, 30), st.integers(0, 30), st.sampled_from(["file", "shuffled"]), st.integers(0, 9)
)
def test_choosing_takes_each_prompt_at_most_once(
    size: int, n: int, n_warmup: int, order: Literal["file", "shuffled"], seed: int
) -> None:
    """n for the window, as many as are left up to n_warmup for the warm-up; a pool below n is refused."""
    if size < n:
        with pytest.raises(ConfigError, match=f"has {size} prompts"):
            choose(Pool(size), n, order, seed, n_warmup)
        return
    taken = [prompt.text for prompt in choose(Pool(size), n, order, seed, n_warmup).prompts]
    assert len(taken) == len(set(taken)) == min(size, n + n_warmup)
    if order == "file":
        assert taken == [str(number) for number in range(len(taken))]


def limits(distribution: str) -> st.SearchStrategy[dict[str, object]]:
    shape = {"uniform": {}, "normal": {"mean": 90, "std": 60}, "lognormal": {"median": 90, "sigma": 1.5}}[distribution]
    bounds = st.tuples(st.integers(1, 200), st.integers(0, 200))
    return bounds.map(lambda pair: {distribution: {**shape, "min": pair[0], "max": sum(pair)}})


@given(
    st.sampled_from(["uniform", "normal", "lognormal"]).flatmap(limits), st.integers(0, 2**31 - 1), st.integers(1, 6)
)
def test_drawn_lengths_stay_within_their_limits(lengths: dict[str, dict[str, int]], seed: int, n: int) -> None:
    """And the text is long enough for them."""
    options = SyntheticOptions.model_validate({"input_len": lengths, "output_len": lengths})
    (bounds,) = lengths.values()
    for prompt in SyntheticPrompts(options, random_seed=seed, max_new_tokens=1).prompts(n, 0):
        assert prompt.exact_tokens is not None and prompt.max_new_tokens is not None
        assert bounds["min"] <= prompt.exact_tokens <= bounds["max"]
        assert bounds["min"] <= prompt.max_new_tokens <= bounds["max"]
        assert len(prompt.text.split()) >= prompt.exact_tokens
