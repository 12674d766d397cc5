"""Which dataset is meant, and which of its prompts are taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llenergymeasure.config.dataset import DatasetChoice, DatasetFile, SyntheticDataset
from llenergymeasure.datasets.contract import Dataset
from llenergymeasure.datasets.resolve import choose, file_of, open_dataset
from llenergymeasure.errors import ConfigError


def opened(choice: DatasetChoice, base: Path = Path(), n: int = 1) -> Dataset:
    return open_dataset(choice, base=base, random_seed=42, n=n, default_max_new_tokens=128)


def a_file(folder: Path, count: int) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{number}"}) + "\n" for number in range(count)))
    return path


def test_a_name_is_the_built_in_set() -> None:
    """Without a file of that name being looked for."""
    assert opened("mixed").name.startswith("mixed@")


def test_a_path_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    """Relative paths start at the base, and the dataset's name holds no folder."""
    a_file(tmp_path, 3)
    for choice in ("prompts.jsonl", "./prompts.jsonl", DatasetFile(path="prompts.jsonl")):
        dataset = opened(choice, tmp_path)
        assert (dataset.name, dataset.size) == ("prompts.jsonl", 3)


def test_a_file_that_is_not_there_is_named_with_its_folder(tmp_path: Path) -> None:
    """The message shows where it was looked for."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        opened("nothing.csv", tmp_path)


@pytest.mark.parametrize(("written", "suggested"), [("mixt", "mixed"), ("syntetic", "synthetic")])
def test_a_misspelt_name_gets_a_suggestion(written: str, suggested: str) -> None:
    """And the other forms that a dataset may have."""
    with pytest.raises(ConfigError, match="is not a dataset") as caught:
        opened(written)
    assert f"did you mean {suggested!r}?" in caught.value.hint
    assert ".jsonl" in caught.value.hint and "owner/name" in caught.value.hint


def test_an_unknown_name_gets_the_list() -> None:
    """When nothing is similar, everything that is there is named."""
    with pytest.raises(ConfigError) as caught:
        opened("zzz")
    assert all(name in caught.value.hint for name in ("mixed", "synthetic", "aienergyscore"))


def test_a_synthetic_pool_below_n_is_refused_at_once() -> None:
    """It says how many there are."""
    choice = SyntheticDataset.model_validate({"synthetic": {"n": 5}})
    with pytest.raises(ConfigError, match="has 5 prompts, and n is 9"):
        opened(choice, n=9)
    assert opened(choice, n=5).size == 5


def test_only_files_are_files(tmp_path: Path) -> None:
    """A path is known as one before it is looked for; names, hub ids and synthetic prompts are none."""
    assert file_of("a/b.parquet", base=tmp_path) == tmp_path / "a/b.parquet"
    assert file_of("./odd.name", base=tmp_path) == tmp_path / "odd.name"
    assert file_of(DatasetFile(path="x"), base=tmp_path) == tmp_path / "x"
    for choice in ("mixed", "synthetic", "owner/name", DatasetFile(hub="owner/name"), SyntheticDataset()):
        assert file_of(choice, base=tmp_path) is None


def test_the_window_takes_the_first_n_and_the_warm_up_what_follows(tmp_path: Path) -> None:
    """In the order of the file, and fewer for the warm-up when the pool ends."""
    dataset = opened(str(a_file(tmp_path, 6)))
    chosen = choose(dataset, 4, "file", 0, 10)
    assert [prompt.text for prompt in chosen.prompts] == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert len(choose(dataset, 4, "file", 0, 1).prompts) == 5
    assert (chosen.dataset, chosen.dataset_sha256) == (dataset.name, dataset.sha256)


def test_shuffled_draws_from_the_whole_pool(tmp_path: Path) -> None:
    """The seed decides; other seeds give other prompts, none twice."""
    dataset = opened(str(a_file(tmp_path, 100)))
    one = [prompt.text for prompt in choose(dataset, 5, "shuffled", 1, 3).prompts]
    assert one == [prompt.text for prompt in choose(dataset, 5, "shuffled", 1, 3).prompts]
    assert one != [prompt.text for prompt in choose(dataset, 5, "shuffled", 2, 3).prompts]
    assert len(set(one)) == 8
    assert max(int(text[1:]) for text in one) > 20


def test_a_pool_without_end_can_be_shuffled_too() -> None:
    """Then the prompts that are taken change places."""
    dataset = opened("synthetic")
    in_order, shuffled = choose(dataset, 6, "file", 1, 2), choose(dataset, 6, "shuffled", 1, 2)
    assert set(in_order.prompts) == set(shuffled.prompts) and in_order.prompts != shuffled.prompts


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_a_pool_smaller_than_n_is_refused(tmp_path: Path, order: str) -> None:
    """It says how many there are, also when that is none."""
    dataset = opened(str(a_file(tmp_path, 3)))
    with pytest.raises(ConfigError, match=r"has 3 prompts, and n is 4") as caught:
        choose(dataset, 4, order, 0, 5)  # type: ignore[arg-type]
    assert caught.value.hint == "lower n to 3, or add prompts"
    with pytest.raises(ConfigError, match=r"has 0 prompts") as caught:
        choose(opened(str(a_file(tmp_path, 0))), 1, "file", 0, 0)
    assert "right file" in caught.value.hint
