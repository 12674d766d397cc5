"""Engines that are described and not driven."""

import pytest

from llenergymeasure import plugins
from llenergymeasure.backends.contract import BackendSpec
from llenergymeasure.errors import BackendError
from llenergymeasure.model.event import Missing
from llenergymeasure.model.job import ModelRef
from llenergymeasure.testing.builders import trial_job


@pytest.mark.parametrize("name", ["vllm", "tensorrt"])
def test_a_described_engine_is_never_found(name):
    """Its specification stands; its probe says what is missing and what helps; nothing of it runs."""
    backend = plugins.load("backends", name)
    assert isinstance(backend.spec, BackendSpec)
    answer = backend.probe()
    assert isinstance(answer, Missing)
    assert "cannot run them" in answer.remedy
    for call in (lambda: backend.open(trial_job()), lambda: backend.tokenizer(ModelRef("m", "/x", "directory"))):
        with pytest.raises(BackendError, match="cannot be run"):
            call()


def test_a_described_engine_that_is_installed_says_so():
    """A distribution that is there is named with its version, and is still missing as a backend."""
    import dataclasses

    from llenergymeasure.backends.described import DescribedBackend

    spec = dataclasses.replace(plugins.load("backends", "vllm").spec, engine="pytest")
    answer = DescribedBackend(spec).probe()
    assert isinstance(answer, Missing)
    assert answer.reason.endswith("is installed")
