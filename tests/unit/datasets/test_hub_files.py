"""Which files of a hub repository are taken."""

from __future__ import annotations

import pytest

from llenergymeasure.datasets.hub_files import data_files
from llenergymeasure.errors import ConfigError


def card(*configs: dict[str, object]) -> dict[str, object]:
    return {"configs": list(configs)}


def files(*names: str, told: dict[str, object] | None = None, subset: str | None = None, split: str | None = None):
    return data_files("o/d", names, told or {}, subset, split)


MAIN = {
    "config_name": "main",
    "data_files": [{"split": "train", "path": "main/train-*"}, {"split": "test", "path": "main/test-*"}],
}
OTHER = {"config_name": "other", "data_files": [{"split": "test", "path": ["other/*.parquet"]}]}
BOTH = ("main/train-00000-of-00001.parquet", "main/test-00000-of-00001.parquet", "other/x.parquet", "other/y.parquet")


def test_the_only_file_is_taken() -> None:
    """Whatever it is called; descriptions of the dataset are not data."""
    assert files("README.md", "prompts.jsonl", "dataset_infos.json", ".gitattributes") == ("prompts.jsonl",)


def test_train_is_taken_where_no_split_is_asked_for() -> None:
    """By file name or by folder, whatever else is there."""
    assert files("test.csv", "train.csv") == ("train.csv",)
    assert files("data/test/a.jsonl", "data/train/a.jsonl", "data/train/b.jsonl") == (
        "data/train/a.jsonl",
        "data/train/b.jsonl",
    )


def test_a_split_is_found_by_its_usual_names() -> None:
    """validation is also called dev, valid or val."""
    assert files("train.csv", "dev.csv", split="validation") == ("dev.csv",)
    assert files("train.csv", "my_val.csv", split="val") == ("my_val.csv",)


def test_all_shards_are_taken_also_those_that_are_not_listed() -> None:
    """A cache may hold the first of three; the others belong to the dataset all the same."""
    assert files("data/train-00001-of-00003.parquet") == tuple(
        f"data/train-{number:05}-of-00003.parquet" for number in range(3)
    )


def test_parquet_comes_before_other_formats_of_the_same_data() -> None:
    """The rows are not taken twice."""
    assert files("train.csv", "train.jsonl", "train.parquet") == ("train.parquet",)


def test_the_card_decides_where_it_speaks() -> None:
    """Subset and split are those that the card declares."""
    told = card({**MAIN, "default": True}, OTHER)
    assert files(*BOTH, told=told) == (BOTH[0],)
    assert files(*BOTH, told=told, split="test") == (BOTH[1],)
    assert files(*BOTH, told=told, subset="other") == BOTH[2:]


@pytest.mark.parametrize(
    "data", ["all/*.jsonl", ["all/*.jsonl"], [{"path": "**/a.jsonl"}], [{"path": ["all/a.jsonl"]}]]
)
def test_a_card_may_be_short(data: object) -> None:
    """A pattern, a list of patterns, or entries without a split."""
    assert files("all/a.jsonl", "b.csv", told=card({"data_files": data})) == ("all/a.jsonl",)


@pytest.mark.parametrize(
    ("names", "told", "subset", "split", "said"),
    [
        (("README.md", "script.py"), {}, None, None, "no file in a format of prompts"),
        (("test.csv", "dev.csv"), {}, None, None, "which split? (there: test, validation)"),
        (("train.csv", "test.csv"), {}, None, "tests", "no split 'tests' (there: train, test)"),
        (("en/train.csv", "fr/train.csv"), {}, None, None, "which subset? Files are in en, fr"),
        (("en/train.csv", "fr/train.csv"), {}, "de", None, "no subset 'de'"),
        (BOTH, card(MAIN, OTHER), None, None, "which subset? (there: main, other)"),
        (BOTH, card(MAIN, OTHER), "mian", None, "no subset 'mian' (there: main, other)"),
        (("x.csv",), card({"data_files": "data/*"}), None, None, "no file matches data/* (there: x.csv)"),
    ],
)
def test_what_cannot_be_decided_lists_what_is_there(
    names: tuple[str, ...], told: dict[str, object], subset: str | None, split: str | None, said: str
) -> None:
    """The message holds the choices."""
    with pytest.raises(ConfigError) as caught:
        files(*names, told=told, subset=subset, split=split)
    assert said in str(caught.value)


def test_a_subset_is_a_folder_or_the_beginning_of_a_name() -> None:
    """Both layouts are common."""
    assert files("en/train.csv", "fr/train.csv", subset="fr") == ("fr/train.csv",)
    assert files("en_train.csv", "en_test.csv", "fr_train.csv", subset="en") == ("en_train.csv",)
