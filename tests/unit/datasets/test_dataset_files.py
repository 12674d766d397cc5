"""Prompts in files: formats, columns, chats, and what is wrong with them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llenergymeasure.datasets.files import open_file
from llenergymeasure.datasets.table import Columns, TableDataset
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.inputs import Message, Prompt


@pytest.fixture
def written(tmp_path: Path):
    def write(name: str, content: str | bytes, **columns: str) -> TableDataset:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_file(path, Columns(**columns))

    return write


@pytest.fixture
def table(tmp_path: Path):
    def write(values: dict[str, list[object]], **columns: str) -> TableDataset:
        path = tmp_path / "table.parquet"
        pq.write_table(pa.table(values), path)
        return open_file(path, Columns(**columns))

    return write


def all_of(dataset: TableDataset) -> tuple[Prompt, ...]:
    return dataset.prompts(1000, 0)


def texts(dataset: TableDataset) -> list[str]:
    return [prompt.text for prompt in all_of(dataset)]


def refusal(dataset: TableDataset) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        all_of(dataset)
    return caught.value


TWO = ["What is 1?", 'Say "hello",\nplease: é 日本']


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "".join(json.dumps({"id": n, "text": text}) + "\r\n" for n, text in enumerate(TWO))),
        ("a.json", "".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(TWO))),
        ("a.json", json.dumps([{"id": n, "text": text} for n, text in enumerate(TWO)], indent=2)),
        ("a.jsonl", json.dumps(TWO)),
        ("A.CSV", 'id,text\n0,What is 1?\n1,"Say ""hello"",\nplease: é 日本"\n'),
        ("a.csv", '\ufeffid, text\n0,What is 1?\n\n1,"Say ""hello"",\nplease: é 日本"'),
    ],
)
def test_every_format_gives_the_same_prompts(written, name: str, content: str) -> None:
    """JSON lines, an array under either suffix, CSV with quotes and line breaks, with or without a byte order mark."""
    dataset = written(name, content)
    assert texts(dataset) == TWO
    assert dataset.size == 2


def test_a_parquet_file_gives_its_rows(table) -> None:
    """Columns of other types beside the prompts are never read."""
    dataset = table({"image": [b"\x00", b"\x01"], "text": TWO})
    assert texts(dataset) == TWO


def test_a_text_file_holds_one_prompt_a_line(written) -> None:
    """Blank lines are left out, and the other lines are kept as they are."""
    assert texts(written("a.txt", 'one\r\n\n   \n two, "and" three\n')) == ["one", ' two, "and" three']


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["content", "input", "instruction", "question", "text", "prompt"], "prompt"),
        (["content", "input", "instruction", "question", "text"], "text"),
        (["content", "input", "instruction", "question"], "question"),
        (["content", "input", "instruction"], "instruction"),
        (["content", "input"], "input"),
        (["id", "content"], "content"),
    ],
)
def test_the_prompt_is_found_by_the_name_of_its_column(written, columns: list[str], found: str) -> None:
    """In a fixed order of names, not in the order of the file."""
    assert texts(written("a.jsonl", json.dumps({name: f"this is {name}" for name in columns}))) == [f"this is {found}"]


def test_a_named_column_is_taken(written) -> None:
    """Even when there is one with a better-known name."""
    assert texts(written("a.csv", "prompt,body\nno,yes\n", prompt="body")) == ["yes"]


def test_a_chat_ends_where_the_model_is_to_answer(written) -> None:
    """Trailing answers are left out; both spellings of a chat are read."""
    rows = [
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]},
        {
            "messages": [
                {"role": "user", "content": "1?"},
                {"role": "assistant", "content": "one"},
                {"role": "user", "content": "2?"},
                {"role": "assistant", "content": "two"},
            ]
        },
        {"messages": [{"from": "human", "value": "3?"}, {"from": "gpt", "value": "three"}]},
    ]
    chats = [prompt.messages for prompt in all_of(written("a.jsonl", "\n".join(map(json.dumps, rows))))]
    assert chats == [
        (Message("system", "Be brief."), Message("user", "Hi")),
        (Message("user", "1?"), Message("assistant", "one"), Message("user", "2?")),
        (Message("user", "3?"),),
    ]


def test_a_chat_in_a_parquet_file_is_read(table) -> None:
    """A list of structs is a list of messages."""
    dataset = table({"conversations": [[{"role": "user", "content": "Hi"}], [{"role": "user", "content": "Ho"}]]})
    assert [prompt.messages[0].content for prompt in all_of(dataset)] == ["Hi", "Ho"]


def test_a_prompt_has_its_own_output_length_where_the_row_has_one(written, table) -> None:
    """From max_new_tokens or the column named; an empty cell leaves it to the study."""
    assert [p.max_new_tokens for p in all_of(written("a.csv", "text,max_new_tokens\na,5\nb,\nc,7.0\n"))] == [5, None, 7]
    assert [p.max_new_tokens for p in all_of(table({"text": ["a", "b"], "max_new_tokens": [3, None]}))] == [3, None]
    named = written("b.jsonl", '{"text": "a", "out": 9, "max_new_tokens": 1}', max_new_tokens="out")
    assert [p.max_new_tokens for p in all_of(named)] == [9]


@pytest.mark.parametrize("value", ['"x"', "0", "-3", "2.5", "true", "1e400", "[1]"])
def test_an_output_length_that_is_no_number_of_tokens_is_refused(written, value: str) -> None:
    """With file, line and value."""
    error = refusal(written("a.jsonl", f'{{"text": "a"}}\n{{"text": "b", "max_new_tokens": {value}}}'))
    assert "a.jsonl:2: max_new_tokens is " in str(error)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": "a"}\n\n{"text": }\n', "a.jsonl:3: not valid JSON"),
        ("a.jsonl", '{"text": "a"}\n7\n', "a.jsonl:2: expected an object or a text, found int"),
        ("a.json", '[{"text": "a"},\n {"text" "b"}]', "a.json:2: not valid JSON"),
        ("a.json", '[{"text": "a"}, null]', "a.json: entry 2: expected an object"),
        ("a.jsonl", '{"text": "a"}\n' + "[" * 100_000, "a.jsonl:2: not JSON that can be read"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "a.jsonl:2: is not UTF-8 text (byte 11 of the line)"),
        ("a.txt", "a\n".encode("utf-16"), "a.txt:1: is not UTF-8 text"),
        ("a.csv", "text,id\na,1\nb\n", "a.csv:3: 1 fields, but the header has 2"),
        ("a.csv", 'text,id\na,1\n"b,2\nc,3\n', "a.csv:3: not valid CSV"),
        ("a.parquet", b"PAR1 this is none", "a.parquet"),
        ("a.jsonl", '{"text": "a"}\n{"text": null}\n', "a.jsonl:2: text holds nothing, not text"),
        ("a.jsonl", '{"text": 5}\n', "a.jsonl:1: text holds a int, not text"),
        ("a.jsonl", '{"text": "\\ud800"}\n', "a.jsonl:1: text holds half a character"),
        ("a.jsonl", '{"messages": []}\n', "a.jsonl:1: messages holds no message to answer"),
        ("a.jsonl", '{"messages": [{"role": "assistant", "content": "x"}]}\n', "holds no message to answer"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": ["x"]}]}\n', "a.jsonl:1: message 1 of messages is not"),
        ("a.xlsx", "text\na\n", ".xlsx is not a format of prompts"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(written, name: str, content: str | bytes, said: str) -> None:
    """One sentence that leads to the place."""
    assert said in str(refusal(written(name, content)))


def test_a_missing_column_lists_those_that_are_there(written) -> None:
    """Named or not, in the first row or in a later one, and with a suggestion."""
    named = refusal(written("a.csv", "id,promt\n1,a\n", prompt="prompt"))
    assert "a.csv:2: there is no column 'prompt' (there: id, promt)" in str(named)
    assert named.hint == "did you mean 'promt'?"
    unnamed = refusal(written("b.csv", "id,body\n1,a\n"))
    assert "(there: id, body)" in str(unnamed) and "column:" in unnamed.hint
    later = refusal(written("c.jsonl", '{"text": "a"}\n{"txt": "b"}\n'))
    assert "c.jsonl:2: there is no column 'text' (there: txt)" in str(later)
    lengths = refusal(written("d.csv", "text\na\n", max_new_tokens="len"))
    assert "d.csv:2: there is no column 'len' (there: text)" in str(lengths)


def test_a_parquet_file_without_a_prompt_lists_its_columns(table) -> None:
    """Also when none of them is read."""
    assert "(there: id, body)" in str(refusal(table({"id": [1], "body": ["a"]})))


def test_rows_after_those_that_are_taken_are_not_read(written) -> None:
    """A broken line at the end of a large file hurts nobody who takes the first hundred."""
    dataset = written("a.jsonl", '{"text": "a"}\n' * 100 + "broken\n")
    assert len(dataset.prompts(100, 0)) == 100
    with pytest.raises(ConfigError, match=r"a\.jsonl:101"):
        dataset.prompts(101, 0)


def test_a_long_cell_of_a_csv_file_is_read(written) -> None:
    """Prompts may be longer than the 128 KiB at which Python's reader stops by itself."""
    assert [len(text) for text in texts(written("a.csv", f"text\n{'word ' * 50_000}\n"))] == [250_000]


def test_the_hash_is_that_of_the_bytes(written) -> None:
    """As sha256sum prints it; a column asked for by name makes another, because it makes other prompts."""
    content = "prompt,body\na,b\n"
    plain = hashlib.sha256(content.encode()).hexdigest()
    assert written("a.csv", content).sha256 == written("b.csv", content).sha256 == plain
    by_name = {written("a.csv", content, prompt=name).sha256 for name in ("prompt", "body")}
    assert len({plain, *by_name}) == 3


def test_a_file_that_cannot_be_read_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        open_file(tmp_path, Columns())
