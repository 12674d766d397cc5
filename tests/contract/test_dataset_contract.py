"""The dataset contract, over every built-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llenergymeasure import plugins
from llenergymeasure.config.dataset import DatasetFile, SyntheticDataset
from llenergymeasure.datasets.contract import Dataset
from llenergymeasure.datasets.resolve import open_dataset
from llenergymeasure.testing.dataset_contract import DatasetContract


def opened(choice: str | DatasetFile | SyntheticDataset, base: Path) -> Dataset:
    return open_dataset(choice, base=base, random_seed=42, n=3, default_max_new_tokens=128)


@pytest.mark.parametrize("name", plugins.built_in("datasets"))
class TestBuiltIn(DatasetContract):
    @pytest.fixture(autouse=True)
    def _name(self, name: str, tmp_path: Path) -> None:
        self._choice, self._base = name, tmp_path

    def open_dataset(self) -> Dataset:
        return opened(self._choice, self._base)


class TestSynthetic(DatasetContract):
    def open_dataset(self) -> Dataset:
        return opened("synthetic", Path())


class TestSyntheticOfOneSize(DatasetContract):
    def open_dataset(self) -> Dataset:
        lengths = {"lognormal": {"median": 40, "sigma": 0.5}}
        options = {"n": 5, "input_len": lengths, "output_len": {"uniform": {"min": 2, "max": 9}}, "seed": 3}
        return opened(SyntheticDataset.model_validate({"synthetic": options}), Path())


class TestChatsInAFile(DatasetContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self._base = tmp_path
        chats = [
            [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": "-"}] for n in range(4)
        ]
        lines = [json.dumps({"messages": chat, "max_new_tokens": 8}) for chat in chats]
        (tmp_path / "chats.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def open_dataset(self) -> Dataset:
        return opened("chats.jsonl", self._base)
