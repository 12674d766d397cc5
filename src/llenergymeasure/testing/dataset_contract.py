"""The contract of a dataset as tests, for datasets of this package and of others.

Subclass ``DatasetContract`` in a test module, as ``class TestMyDataset(DatasetContract)``, and say how the dataset is opened::

    def open_dataset(self) -> Dataset: ...

It must be able to give at least three prompts. Nothing here needs pytest or the network.
"""

from __future__ import annotations

import re

from llenergymeasure.datasets.contract import Dataset


class DatasetContract:
    """What every dataset keeps."""

    def open_dataset(self) -> Dataset:
        """The dataset, opened anew."""
        raise NotImplementedError

    def test_it_says_what_it_is(self) -> None:
        """The name is one line without a path of this machine, the hash is SHA-256 in hex, a licence is text."""
        dataset = self.open_dataset()
        assert re.fullmatch(r"[^\s/\\][^\n\\]*", dataset.name)
        assert re.fullmatch(r"[0-9a-f]{64}", dataset.sha256)
        assert dataset.licence is None or dataset.licence.strip()

    def test_it_gives_as_many_prompts_as_are_asked_for(self) -> None:
        """Of a pool that is large enough, exactly n."""
        dataset = self.open_dataset()
        assert [len(dataset.prompts(n, 0)) for n in (0, 1, 2, 3)] == [0, 1, 2, 3]

    def test_it_gives_no_more_than_it_has(self) -> None:
        """Asked for more than its size, a pool gives all; a pool without a size gives what is asked for."""
        dataset = self.open_dataset()
        size = dataset.size
        assert size is None or size >= 3
        asked = 50 if size is None else size + 5
        assert len(dataset.prompts(asked, 0)) == (asked if size is None else size)

    def test_fewer_prompts_are_the_beginning_of_more(self) -> None:
        """The first two prompts are the same whether two are asked for or three."""
        dataset = self.open_dataset()
        assert dataset.prompts(2, 7) == dataset.prompts(3, 7)[:2]

    def test_the_same_question_has_the_same_answer(self) -> None:
        """Opened again, it has the same name, hash, size and prompts."""
        one, other = self.open_dataset(), self.open_dataset()
        assert (one.name, one.sha256, one.licence, one.size) == (other.name, other.sha256, other.licence, other.size)
        assert one.prompts(3, 7) == other.prompts(3, 7) == one.prompts(3, 7)

    def test_every_prompt_can_be_put_to_a_model(self) -> None:
        """A prompt has text or messages with someone's turn to answer, and positive lengths where it has any."""
        for prompt in self.open_dataset().prompts(3, 0):
            assert bool(prompt.text.strip()) != bool(prompt.messages)
            assert all(message.role for message in prompt.messages)
            assert not prompt.messages or prompt.messages[-1].role != "assistant"
            assert prompt.exact_tokens is None or prompt.exact_tokens >= 1
            assert prompt.max_new_tokens is None or prompt.max_new_tokens >= 1
            "".join((prompt.text, *(message.content for message in prompt.messages))).encode()
