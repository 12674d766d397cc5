"""The form of the field ``dataset``."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from llenergymeasure.config.dataset import DatasetChoice, DatasetFile, Lengths, SyntheticDataset
from llenergymeasure.config.problems import problems_of
from llenergymeasure.config.yaml_strict import scalar


class Holder(BaseModel):
    dataset: DatasetChoice


def complaints(value: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"dataset": value})
    return [f"{problem.key}: {problem.message} ({problem.hint})" for problem in problems_of(caught.value)]


@pytest.mark.parametrize("name", ["mixed", "synthetic", "prompts.jsonl", "owner/name"])
def test_a_text_stays_as_it_is_written(name: str) -> None:
    """Whether a name, a path or a hub id exists is not decided here."""
    assert Holder(dataset=name).dataset == name


def test_a_mapping_is_a_file_a_hub_dataset_or_synthetic_by_its_keys() -> None:
    """path and hub make a file, synthetic makes synthetic prompts."""
    assert isinstance(Holder.model_validate({"dataset": {"path": "a.csv", "column": "x"}}).dataset, DatasetFile)
    assert isinstance(Holder.model_validate({"dataset": {"hub": "owner/name"}}).dataset, DatasetFile)
    synthetic = Holder.model_validate({"dataset": {"synthetic": {"input_len": 64}}}).dataset
    assert isinstance(synthetic, SyntheticDataset) and synthetic.synthetic.input_len == 64


def test_synthetic_without_options_is_the_name_alone() -> None:
    """Written as a mapping with defaults or as a name it is one and the same, and so is its hash."""
    assert Holder.model_validate({"dataset": {"synthetic": {"input_len": 512}}}).dataset == "synthetic"


def test_a_revision_of_digits_stays_text() -> None:
    """What YAML takes for a number is used as it was written."""
    dataset = Holder.model_validate({"dataset": {"hub": "o/n", "revision": scalar("12e4567"), "split": scalar("007")}})
    assert isinstance(dataset.dataset, DatasetFile)
    assert (dataset.dataset.revision, dataset.dataset.split) == ("12e4567", "007")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"path": "a", "hub": "b/c"}, "dataset: give path (a file) or hub (owner/name), one of the two ()"),
        ({"column": "x"}, "dataset: give path (a file) or hub (owner/name), one of the two ()"),
        ({"path": "a", "split": "x"}, "dataset: split belongs to a hub dataset; a file has none ()"),
        ({"path": "a", "colum": "x"}, "dataset.colum: unknown key 'colum' (did you mean 'column'?)"),
        (
            {"synthetic": {"inputlen": 3}},
            "dataset.synthetic.inputlen: unknown key 'inputlen' (did you mean 'input_len'?)",
        ),
        (
            {"synthetic": {"input_len": {"uniform": {"min": 1, "max": 2, "mx": 3}}}},
            "dataset.synthetic.input_len.uniform.mx: unknown key 'mx' (did you mean 'max'?)",
        ),
        (
            {"synthetic": {"input_len": {"uniform": {"min": 5, "max": 2}}}},
            "dataset.synthetic.input_len.uniform: max 2 is below min 5 ()",
        ),
        (
            {"synthetic": {"output_len": {"uniform": {"min": 1, "max": 2}, "normal": {"mean": 2, "std": 1}}}},
            "dataset.synthetic.output_len: give one of uniform, normal, lognormal ()",
        ),
        (
            ["mixed"],
            "dataset: expected a name, a path, a hub id, or a mapping with path, hub or synthetic ()",
        ),
    ],
)
def test_one_clear_complaint_about_each_mistake(value: object, said: str) -> None:
    """The message is about the form that was meant, with its place and what would be right, and there is only one."""
    assert complaints(value) == [said]


@pytest.mark.parametrize("length", [0, -1, 1.5, True, None, "many"])
def test_a_length_is_a_positive_number_of_tokens_or_a_distribution(length: object) -> None:
    """Anything else is refused in one sentence that says both."""
    (said,) = complaints({"synthetic": {"input_len": length}})
    assert "expected a number of tokens, 1 or more, or one of uniform, normal, lognormal" in said


def test_a_distribution_is_the_one_that_is_given() -> None:
    """The other two stay empty."""
    lengths = Lengths.model_validate({"lognormal": {"median": 100, "sigma": 1}})
    assert lengths.distribution is lengths.lognormal
