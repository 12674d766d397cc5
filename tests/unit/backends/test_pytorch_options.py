import dataclasses
import subprocess
import sys

import pytest

from llenergymeasure.backends.pytorch import SPEC
from llenergymeasure.backends.pytorch_options import PyTorchOptions, options_of
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import CodecError


def test_importing_the_backend_imports_no_engine():
    """The spec is read for every configuration, so importing it may not cost an engine's import."""
    code = (
        "import sys; import llenergymeasure.backends.pytorch as backend; assert backend.BACKEND.spec.name == 'pytorch'; "
        "print([name for name in ('torch', 'transformers', 'numpy', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_option_says_what_it_does():
    """The generated reference has a line for each option."""
    fields = dataclasses.fields(PyTorchOptions)
    assert fields
    assert all(field.metadata["doc"] for field in fields)


def test_the_spec_lists_the_quantisations_that_the_option_accepts():
    """A quantisation that the spec names is one that a job can ask for."""
    assert SPEC.quantization
    for name in SPEC.quantization:
        assert options_of({"quantization": name}).quantization == name


def test_batch_size_is_what_the_command_line_sets():
    """``--batch-size`` finds its option by the name in the spec."""
    assert PyTorchOptions(**{SPEC.concurrency_option: 8}).batch_size == 8


def test_no_options_are_one_request_at_a_time_in_order():
    """The defaults leave everything but the batch to transformers."""
    options = options_of({})
    assert (options.batch_size, options.sort_by_length, options.cache, options.static_cache) == (
        1,
        False,
        "dynamic",
        False,
    )
    assert options.quantization is options.attn_implementation is options.torch_compile is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"num_threads": -1}, "num_threads must be at least 1"),
        ({"assistant_confidence_threshold": 1.5}, "between 0 and 1"),
        ({"low_cpu_mem_usage": False}, "low_cpu_mem_usage"),
        ({"torch_compile": True, "cache_implementation": "dynamic"}, "torch_compile needs a static cache"),
        ({"torch_compile": False, "compile_mode": "default"}, "compile_mode has no effect"),
        ({"batchsize": 4}, "unknown option 'batchsize'"),
        (
            {"passthrough_kwargs": {"attn_implementation": "eager"}},
            "'attn_implementation' is an option of its own",
        ),
        ({"passthrough_kwargs": {"torch_dtype": "float16"}}, "'torch_dtype' is decided by precision"),
        ({"passthrough_kwargs": {"quantization_config": {}}}, "decided by pytorch.quantization"),
    ],
)
def test_an_option_that_cannot_be_is_refused(values, words):
    """The message names the option and what is wrong with it."""
    with pytest.raises(BackendError, match=words):
        options_of(values)


def test_a_value_of_the_wrong_type_is_refused_with_its_place():
    """A text where a number belongs is named by section and option."""
    with pytest.raises(CodecError, match=r"pytorch\.batch_size"):
        options_of({"batch_size": "four"})


def test_what_no_option_covers_passes_through():
    """Arguments that only from_pretrained knows reach it unchanged."""
    assert options_of({"passthrough_kwargs": {"use_safetensors": True}}).passthrough_kwargs == {"use_safetensors": True}


def test_compiling_chooses_a_static_cache():
    """The decoding step can only be compiled when the cache has a fixed size."""
    options = options_of({"torch_compile": True})
    assert (options.cache, options.static_cache) == ("static", True)
