import errno
import sys
from types import ModuleType

import pytest

from llenergymeasure.backends import pytorch, pytorch_quantize
from llenergymeasure.backends.pytorch import BACKEND
from llenergymeasure.backends.pytorch_engine import engine_errors
from llenergymeasure.backends.pytorch_quantize import check_quantization
from llenergymeasure.errors import BackendError
from llenergymeasure.model.event import Missing
from llenergymeasure.model.job import BackendChoice, Lora, ModelRef, ServeJob
from llenergymeasure.testing.builders import trial_job


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes",
        "MPS backend out of memory (MPS allocated: 17 GB)",
    ],
)
def test_an_allocator_that_gives_up_is_a_memory_error(message):
    """Allocators of all devices report by words alone, and the worker tells these failures apart."""
    with pytest.raises(MemoryError, match="generating"), engine_errors("generating"):
        raise RuntimeError(message)


def test_other_errors_of_the_engine_name_what_was_done():
    """The engine's error leaves as ours, with its cause."""
    with (
        pytest.raises(BackendError, match="loading gpt: ValueError: no such layer") as failed,
        engine_errors("loading gpt"),
    ):
        raise ValueError("no such layer")
    assert isinstance(failed.value.__cause__, ValueError)


def test_a_missing_module_names_the_package_to_install():
    """The hint is a command."""
    with pytest.raises(BackendError) as failed, engine_errors("loading"):
        raise ModuleNotFoundError("No module named 'sentencepiece'", name="sentencepiece.core")
    assert failed.value.hint == "pip install sentencepiece"


def test_a_full_disk_stays_a_full_disk():
    """The worker reports it as what it is."""
    with pytest.raises(OSError, match="No space") as failed, engine_errors("converting"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert failed.value.errno == errno.ENOSPC


def test_a_program_error_of_ours_is_not_the_engine_s():
    """An error of this package passes as it is."""
    refusal = BackendError("already ours", hint="do this")
    with pytest.raises(BackendError) as failed, engine_errors("loading"):
        raise refusal
    assert failed.value is refusal


@pytest.mark.parametrize(("package", "installed"), [("torch", None), ("transformers", "5.22.0"), ("torch", "2.0.1")])
def test_a_probe_without_a_usable_engine_says_what_is_wrong(monkeypatch, package, installed):
    """Missing or too old, by the packages' metadata, without importing anything."""

    def version(name):
        if name != package:
            return "99.0"
        if installed is None:
            raise pytorch.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(pytorch, "version", version)
    answer = BACKEND.probe()
    assert isinstance(answer, Missing)
    assert package in answer.reason
    assert answer.remedy == "pip install torch transformers accelerate"


def test_a_probe_of_a_broken_torch_is_missing_with_the_reason(monkeypatch):
    """A torch whose import fails is as good as none, and the reason is its own words."""

    class Broken(ModuleType):
        def __getattr__(self, name):
            raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(pytorch, "version", lambda name: "99.0")
    monkeypatch.setitem(sys.modules, "torch", Broken("torch"))
    answer = BACKEND.probe()
    assert isinstance(answer, Missing)
    assert "libcudart.so.12" in answer.reason


def test_serving_is_refused():
    """Transformers' batches are offline."""
    with pytest.raises(BackendError, match="serving is not offered"):
        BACKEND.serve(ServeJob(BackendChoice("pytorch"), ModelRef("m", "/m", "directory"), "fp32", "cpu"))


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("dynamic-int8", {"device": "cuda"}, "CPU only"),
        ("dynamic-int8", {"precision": "bf16"}, "computes in fp32"),
        ("dynamic-int8", {"lora": Lora("a", "/a")}, "beside the weights"),
        ("no-such-library", {}, "needs llem_no_such_library"),
    ],
)
def test_a_quantisation_that_cannot_be_applied_is_refused_before_loading(monkeypatch, name, changes, words):
    """The refusal says what to change or install."""
    monkeypatch.setitem(pytorch_quantize._NEEDS, "no-such-library", ("llem_no_such_library",))
    job = trial_job(**{"precision": "fp32", "device": "cpu"} | changes)
    with pytest.raises(BackendError, match=words) as refused:
        check_quantization(name, job, job.device)
    assert refused.value.hint


def test_a_gguf_quantisation_needs_a_gguf_file(monkeypatch):
    """Blocks of another kind of file cannot be kept."""
    monkeypatch.setitem(pytorch_quantize._NEEDS, "gguf", ())
    with pytest.raises(BackendError, match="the model is none"):
        check_quantization("gguf", trial_job(model=ModelRef("m", "/m", "directory")), "cpu")
