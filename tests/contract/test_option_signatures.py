"""The options of the installed engines' backends are the engines' own: a name or word that an engine drops is named here."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from dataclasses import replace
from pathlib import Path

import pytest

from llenergymeasure import plugins
from llenergymeasure.backends import llamacpp_options, pytorch_options
from llenergymeasure.backends.llamacpp_options import LlamaCppOptions
from llenergymeasure.backends.pytorch_generate import SpecialTokens, draft_arguments, generation_arguments
from llenergymeasure.backends.pytorch_load import load
from llenergymeasure.backends.pytorch_options import PyTorchOptions
from llenergymeasure.backends.pytorch_quantize import loading_config
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import Decoder
from llenergymeasure.testing.builders import trial_job

# What this program does itself with an option, without a word of the engine's.
OWN = {"batch_size", "sort_by_length"}
# Options that choose a class or a function of the engine, tested by what that makes of them.
CHOOSE = {"quantization", "torch_compile", "compile_mode", "num_threads", "low_cpu_mem_usage", "passthrough_kwargs"}


def fields(options):
    return {field.name: field for field in dataclasses.fields(options)}


def words(options, name):
    """The words that an option takes."""
    return [
        word
        for inner in (typing.get_type_hints(options)[name], *typing.get_args(typing.get_type_hints(options)[name]))
        for word in (typing.get_args(inner) if typing.get_origin(inner) is typing.Literal else ())
    ]


def documented_words(options, name):
    """The words that the description of an option lists after its colon."""
    listed = fields(options)[name].metadata["doc"].partition(": ")[2].partition(";")[0]
    return re.findall(r"\b[a-z]\w+", listed.partition(", or ")[0])


@pytest.mark.engine
class TestPyTorch:
    @pytest.fixture
    def transformers(self):
        pytest.importorskip("torch", reason="torch is not installed")
        return pytest.importorskip("transformers", reason="transformers is not installed")

    def full(self, **changes):
        """Every option that the engine is told by name."""
        options = PyTorchOptions(
            attn_implementation="sdpa", cache_implementation="static", torch_compile=False, device_map="auto", tp_plan="auto",
            num_assistant_tokens=3, num_assistant_tokens_schedule="constant", assistant_confidence_threshold=0.5,
            prompt_lookup_num_tokens=3,
        )  # fmt: skip
        return replace(options, **changes)

    def generating(self):
        decoder = Decoder(max_new_tokens=4, ignore_eos=False, min_new_tokens=2, speculative_decoding=True)
        decoders = [replace(decoder, decoding_strategy=strategy) for strategy in ("greedy", "sampling")]
        decoders.append(replace(decoder, decoding_strategy="beam", num_beams=2))
        special = SpecialTokens((2,), 0)
        arguments = draft_arguments(self.full(), special)
        for each in decoders:
            arguments |= generation_arguments(each, self.full(), special, 16)
        return arguments

    def loading(self, transformers, monkeypatch):
        """The arguments that loading really hands to ``from_pretrained``."""
        told = {}

        def refuse(folder, **arguments):
            told.update(arguments)
            raise OSError("seen enough")

        monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", refuse)
        monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.raises(BackendError, match="seen enough"):
            load(trial_job(precision="fp32", device="auto"), self.full())
        return told

    def taken_by_from_pretrained(self, transformers):
        """Its parameters, and what it and the automatic class take out of their keywords."""
        functions = (
            transformers.PreTrainedModel.from_pretrained,
            transformers.AutoModelForCausalLM.from_pretrained,
        )
        source = "".join(inspect.getsource(function) for function in functions)
        named = set(inspect.signature(functions[0]).parameters) | set(re.findall(r'kwargs\.\w+\("(\w+)"', source))
        for several in re.findall(r"for name in \[([^]]*)\]:\s+_ = kwargs\.pop\(name", source):
            named |= set(re.findall(r'"(\w+)"', several))
        assert {"config", "device_map"} <= named, "this test no longer finds what from_pretrained takes"
        assert "no_such_argument" not in named
        return named

    def test_arguments_of_loading_are_parameters_of_from_pretrained(self, transformers, monkeypatch):
        """Each argument that loading gives, and each that ``passthrough_kwargs`` must leave alone, is still taken."""
        told = self.loading(transformers, monkeypatch)
        reserved = set(pytorch_options._DECIDED_ELSEWHERE)
        missing = sorted((set(told) | reserved | {"low_cpu_mem_usage"}) - self.taken_by_from_pretrained(transformers))
        assert missing == [], f"from_pretrained of transformers {transformers.__version__} does not take {missing}"

    def test_arguments_of_generating_are_fields_of_generation_config(self, transformers):
        """``GenerationConfig`` keeps an unknown argument without a word, so each must be one of its fields."""
        missing = sorted(set(self.generating()) - set(vars(transformers.GenerationConfig())))
        assert missing == [], f"GenerationConfig of transformers {transformers.__version__} has no {missing}"

    def test_every_option_is_accounted_for(self, transformers, monkeypatch):
        """An option reaches the engine by its own name, or is one of the few that are done otherwise."""
        reached = set(self.loading(transformers, monkeypatch)) | set(self.generating())
        assert set(fields(PyTorchOptions)) - reached - OWN == CHOOSE
        assert not OWN & reached

    def test_words_for_caches_are_the_engines(self, transformers):
        """Each cache is one that ``GenerationConfig`` accepts, and the static ones are those it calls static."""
        from transformers.generation.configuration_utils import ALL_CACHE_IMPLEMENTATIONS, STATIC_CACHE_IMPLEMENTATIONS

        given = words(PyTorchOptions, "cache_implementation")
        assert given
        assert sorted(set(given) - set(ALL_CACHE_IMPLEMENTATIONS)) == []
        assert set(pytorch_options.STATIC_CACHES) == set(given) & set(STATIC_CACHE_IMPLEMENTATIONS)

    def test_words_for_compile_modes_are_the_engines(self, transformers):
        """Each mode is one that ``torch.compile`` lists, and the configuration has the fields that are set."""
        from torch import _inductor

        given = words(PyTorchOptions, "compile_mode")
        assert given
        assert sorted(set(given) - set(_inductor.list_mode_options())) == []
        config = transformers.CompileConfig()
        assert [name for name in ("mode", "_compile_all_devices") if not hasattr(config, name)] == []

    def test_words_for_attention_are_the_engines(self, transformers):
        """Each attention kernel of the reference is registered under that name; ``eager`` is each model's own."""
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        given = set(documented_words(PyTorchOptions, "attn_implementation"))
        assert {"sdpa", "eager"} <= given
        assert sorted(given - {"eager"} - set(ALL_ATTENTION_FUNCTIONS.valid_keys())) == []

    def test_words_for_placement_are_the_engines(self, transformers):
        """Each placement of the reference is taken as such, not as the name of a device."""
        from transformers.integrations.accelerate import check_and_set_device_map

        pytest.importorskip("accelerate", reason="accelerate is not installed")
        given = [word for word in documented_words(PyTorchOptions, "device_map") if word != "mapping"]
        assert "auto" in given
        assert [word for word in given if check_and_set_device_map(word) != word] == []
        with pytest.raises(ValueError, match="no_such_place"):
            check_and_set_device_map("no_such_place")

    def test_words_for_the_drafts_schedule_are_the_engines(self, transformers):
        """Each schedule is described by ``GenerationConfig``, which checks none itself."""
        given = words(PyTorchOptions, "num_assistant_tokens_schedule")
        described = inspect.getdoc(transformers.GenerationConfig)
        assert given
        assert [word for word in given if f'`"{word}"`' not in described] == []

    def test_quantisation_is_understood_by_its_configuration(self, transformers):
        """bitsandbytes' configuration ignores names that it does not know, so what it made of ours is looked at."""
        import torch

        assert loading_config("bnb-int8", torch.bfloat16).quantization_method() == "llm_int8"
        four = loading_config("bnb-nf4", torch.bfloat16)
        assert (four.quantization_method(), four.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
        assert loading_config("gguf", torch.float32).quant_method.value == "gguf"
        assert callable(torch.ao.quantization.quantize_dynamic)

    def test_threads_are_set_through_torch(self, transformers):
        """The functions behind ``num_threads`` are there."""
        import torch

        assert [name for name in ("set_num_threads", "get_num_threads") if not hasattr(torch, name)] == []


@pytest.mark.engine
class TestLlamaCpp:
    @pytest.fixture
    def engine(self):
        return pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")

    def missing(self, engine, places):
        """The dotted names that the engine's parameters do not have, each with what the engine offers instead."""
        found = []
        for place in places:
            try:
                llamacpp_options._holder(engine.CommonParams(), place)
            except BackendError as error:
                found.append(f"{place} ({error}) {error.hint}")
        return found

    def test_every_option_has_a_place(self):
        """Each option is written to an attribute of its own, or is one of those that become the mode of loading."""
        elsewhere = {"use_mmap", "use_mlock", "passthrough_kwargs"}
        assert set(fields(LlamaCppOptions)) - elsewhere == set(llamacpp_options._PLACES)

    def test_places_are_attributes_of_the_engines_parameters(self, engine):
        """Each place of an option, and each that ``passthrough_kwargs`` must leave alone, is still there."""
        places = (*llamacpp_options._COVERED, *llamacpp_options._DECIDED_ELSEWHERE)
        assert self.missing(engine, places) == []
        assert len(self.missing(engine, ("cpuparams.no_such", "no_such"))) == 2

    def test_words_are_the_engines_constants(self, engine):
        """Each word of each option with a fixed choice names a constant of the engine."""
        choices = [(name, word) for name in fields(LlamaCppOptions) for word in words(LlamaCppOptions, name)]
        choices += [("flash_attn", True), ("flash_attn", False)]
        assert {name for name, _ in choices} == set(llamacpp_options._CONSTANTS)
        refused = []
        for name, word in choices:
            params = engine.CommonParams()
            try:
                llamacpp_options.set_options(engine, params, LlamaCppOptions(**{name: word}))
            except (KeyError, AttributeError) as error:
                refused.append(f"{name}: {word!r} ({error})")
                continue
            assert llamacpp_options.effective_options(params, LlamaCppOptions())[name] == word
        assert refused == []

    @pytest.mark.parametrize("mapped", [None, True, False])
    @pytest.mark.parametrize("locked", [None, True, False])
    def test_modes_of_loading_are_the_engines_constants(self, engine, mapped, locked):
        """Each combination of mapping and locking names a mode of the engine."""
        params = engine.CommonParams()
        llamacpp_options.set_options(engine, params, LlamaCppOptions(use_mmap=mapped, use_mlock=locked))
        mode = params.load_mode.name.removeprefix("LLAMA_LOAD_MODE_")
        assert ("MLOCK" in mode) == bool(locked)
        assert mode == "AUTO" if mapped is None and not locked else ("MMAP" in mode) == (mapped is not False)


def test_the_reference_lists_every_option_of_every_backend():
    """``docs/reference/backends.md`` has a row for each option, in the section of its backend."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "backends.md").read_text(encoding="utf-8")
    sections = {part.partition("`")[0]: part for part in page.split("\n## `")[1:]}
    names = plugins.built_in("backends")
    assert set(names) == set(sections)
    missing = [
        f"{name}.{option}"
        for name in names
        for option in fields(plugins.load("backends", name).spec.options)
        if f"\n| `{option}` |" not in sections[name]
    ]
    assert missing == []
