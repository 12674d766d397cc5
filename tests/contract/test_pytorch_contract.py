"""The pytorch backend with the real engine, on models small enough to be made here: a llama of 100,000 weights and its words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from llenergymeasure.backends.pytorch import BACKEND
from llenergymeasure.backends.pytorch_engine import engine_errors
from llenergymeasure.backends.pytorch_facts import weights_held
from llenergymeasure.errors import BackendError
from llenergymeasure.model.codec import encode
from llenergymeasure.model.event import Found
from llenergymeasure.model.inputs import Message, ids_sha256, pack_ids, write_inputs
from llenergymeasure.model.job import BackendChoice, ConvertJob, Decoder, Lora, ModelRef
from llenergymeasure.model.request import Request
from llenergymeasure.testing.backend_contract import BackendContract
from llenergymeasure.testing.builders import prepared_inputs, trial_job

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.engine

VOCABULARY, PAD, BOS, EOS = 96, 0, 1, 2
PROMPTS = ((5, 6, 7), (8,), (9, 10, 11, 12, 13, 14, 15, 16, 17), (18, 19), (20, 21, 22, 23), (24, 25, 26, 27, 28, 29))
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    " w3 {{ m.content }}{% endfor %}{% if add_generation_prompt %} w4{% endif %}"
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "initializer_range": 0.2,
}


class RecordingSink:
    """Counts instants instead of reading a clock, so that order is all there is to see."""

    def __init__(self, stop_after=None):
        self.batches, self.done, self.steps, self.tokens = [], {}, defaultdict(list), []
        self._now, self._stop_after = 0, stop_after

    def now_ns(self):
        self._now += 1
        return self._now

    def submitted(self, requests):
        self.batches.append([request.sequence for request in requests])
        self.now_ns()
        return len(self.batches) - 1

    def step(self, batch):
        self.steps[batch].append(self.now_ns())

    def token(self, sequence):
        self.tokens.append(sequence)

    def finished(self, completion):
        assert completion.sequence not in self.done
        self.done[completion.sequence] = completion

    def stopping(self):
        return self._stop_after is not None and len(self.batches) >= self._stop_after

    def outputs(self):
        return [self.done[sequence].output_ids for sequence in sorted(self.done)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random llama with a tokenizer of words ``w0`` … and a chat template, as a directory."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(3)
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))
    # Habits of a published model that must not reach a measurement.
    llama.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=0.3, top_k=3, repetition_penalty=1.5, eos_token_id=[EOS], pad_token_id=PAD
    )
    llama.save_pretrained(folder)
    words = {"<pad>": PAD, "<s>": BOS, "</s>": EOS, **{f"w{index}": index for index in range(3, VOCABULARY)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w3"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return ModelRef("tiny", str(folder), "directory")


@pytest.fixture(scope="module")
def open_session(model):
    """``open_session(options, decoder, **job)``, on one thread of the CPU in fp32."""
    opened = []

    def open_(options=None, decoder=None, **changes):
        fields = {
            "backend": BackendChoice("pytorch", {"num_threads": 1, **(options or {})}),
            "model": model,
            "precision": "fp32",
            "device": "cpu",
            "decoder": decoder or Decoder(max_new_tokens=12),
        }
        opened.append(BACKEND.open(trial_job(**fields | changes)))
        return opened[-1]

    yield open_
    for session in opened:
        session.close()


def requests(prompts=PROMPTS, limits=(12,) * 6, first=0):
    return tuple(
        Request(first + row, row, ids, limit) for row, (ids, limit) in enumerate(zip(prompts, limits, strict=True))
    )


def run(session, asked=None, **sink):
    recorded = RecordingSink(**sink)
    session.run(asked or requests(), recorded)
    session.synchronize()
    return recorded


def by_hand(model, prompt, limit, ends=()):
    """Greedy tokens by plain forward passes over the whole text: no cache, no batch, no ``generate``."""
    llama = transformers.LlamaForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    ids = list(prompt)
    with torch.inference_mode():
        while len(ids) < len(prompt) + limit and not (len(ids) > len(prompt) and ids[-1] in ends):
            ids.append(int(llama(torch.tensor([ids])).logits[0, -1].argmax()))
    return tuple(ids[len(prompt) :])


@pytest.fixture(scope="module")
def ending(model, tmp_path_factory):
    """The same model, with an end token that some prompts come upon and others do not; and what each then generates."""
    free = [by_hand(model, prompt, 12) for prompt in PROMPTS]
    chat = BACKEND.tokenizer(model).encode_chat([Message("user", BackendContract.short_question)])
    answer = by_hand(model, chat, 12)
    end = next(
        token for token in answer if any(token in row[1:8] for row in free) and any(token not in row for row in free)
    )
    folder = tmp_path_factory.mktemp("ending")
    llama = transformers.LlamaForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    llama.generation_config = transformers.GenerationConfig(eos_token_id=[end, EOS], pad_token_id=PAD)
    llama.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        (folder / name).write_bytes((Path(model.path) / name).read_bytes())
    expected = [by_hand(model, prompt, 12, (end, EOS)) for prompt in PROMPTS]
    assert any(2 <= len(row) < 12 for row in expected)
    assert any(len(row) == 12 for row in expected)
    return ModelRef("ending", str(folder), "directory"), end, expected


class TestPyTorch(BackendContract):
    """What every backend keeps."""

    backend = BACKEND

    @pytest.fixture(autouse=True)
    def _opens(self, ending):
        self._model = ending[0]

    def model(self):
        return self._model


def test_the_version_is_that_of_both_halves_of_the_engine():
    """Transformers' own, and that of the torch below it."""
    found = BACKEND.probe()
    assert isinstance(found, Found)
    assert found.version == f"{transformers.__version__} (torch {torch.__version__})"


@pytest.mark.parametrize("batch_size", [1, 2, 4, 6, 8])
def test_padding_changes_no_answer(model, open_session, batch_size):
    """In fp32 every request gets, in any batch, the tokens that plain forward passes over its prompt alone give."""
    recorded = run(open_session({"batch_size": batch_size}))
    assert recorded.outputs() == [by_hand(model, prompt, 12) for prompt in PROMPTS]
    assert recorded.batches == [list(range(begin, min(begin + batch_size, 6))) for begin in range(0, 6, batch_size)]


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_a_request_ends_with_its_end_token_and_padding_is_not_counted(ending, open_session, batch_size):
    """Ends inside a batch: up to and with the first end token, whatever the batch went on to do."""
    ref, end, expected = ending
    decoder = Decoder(max_new_tokens=12, ignore_eos=False)
    recorded = run(open_session({"batch_size": batch_size}, decoder, model=ref))
    assert recorded.outputs() == expected
    for completion in recorded.done.values():
        assert completion.finish_reason == ("stop" if completion.output_ids[-1] in (end, EOS) else "length")
    for number, batch in enumerate(recorded.batches):
        assert len(recorded.steps[number]) == max(len(expected[sequence]) for sequence in batch)


def test_ignoring_the_end_gives_every_request_its_exact_length(ending, open_session):
    """The end token is then a token like others."""
    ref, end, _ = ending
    outputs = run(open_session({"batch_size": 3}, model=ref)).outputs()
    assert [len(ids) for ids in outputs] == [12] * len(PROMPTS)
    assert any(end in ids[:-1] for ids in outputs)


@pytest.mark.parametrize("ignore_eos", [True, False])
def test_each_request_of_a_batch_keeps_its_own_limit(ending, open_session, ignore_eos):
    """Different limits in one batch: nobody gets more, and the batch ends when the last of them has ended."""
    ref, _, free = ending
    limits = (3, 12, 1, 7, 12, 5)
    session = open_session({"batch_size": 6}, Decoder(max_new_tokens=12, ignore_eos=ignore_eos), model=ref)
    recorded = run(session, requests(limits=limits))
    lengths = [len(ids) for ids in recorded.outputs()]
    if ignore_eos:
        assert lengths == list(limits)
    else:
        assert lengths == [min(limit, len(ids)) for limit, ids in zip(limits, free, strict=True)]
    assert len(recorded.steps[0]) == max(lengths)


def test_a_batch_ends_when_the_rest_have_reached_their_limits(ending, open_session):
    """A request at its limit does not keep a batch going whose others have ended by themselves."""
    ref, _, expected = ending
    short = next(row for row, ids in enumerate(expected) if 2 <= len(ids) < 12)
    long = max(range(len(expected)), key=lambda row: len(expected[row]))
    asked = (Request(0, short, PROMPTS[short], 12), Request(1, long, PROMPTS[long], 1))
    recorded = run(open_session({"batch_size": 2}, Decoder(max_new_tokens=12, ignore_eos=False), model=ref), asked)
    assert [len(ids) for ids in recorded.outputs()] == [len(expected[short]), 1]
    assert len(recorded.steps[0]) == len(expected[short])


def test_a_minimum_length_holds_ends_back(ending, open_session):
    """No request ends before the minimum."""
    ref, _, expected = ending
    assert min(len(ids) for ids in expected) < 9
    decoder = Decoder(max_new_tokens=12, min_new_tokens=9, ignore_eos=False)
    assert min(len(ids) for ids in run(open_session({"batch_size": 4}, decoder, model=ref)).outputs()) >= 9


def test_stamps_lie_between_submission_and_end(open_session):
    """Submitted, one stamp a step, then finished: one instant for the whole batch."""
    recorded = run(open_session({"batch_size": 6}))
    steps, ends = recorded.steps[0], {completion.finished_ns for completion in recorded.done.values()}
    assert steps == list(range(2, 14))
    assert ends == {14}


def test_a_batch_shares_one_head(open_session):
    """The last states of all prompts are multiplied by the head at once, not each by a copy of it."""
    session = open_session({"batch_size": 4})
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
        run(session)
    products = {event.name for event in profile.events() if any(VOCABULARY in shape for shape in event.input_shapes)}
    assert "aten::linear" in products
    assert "aten::bmm" not in products


def test_stopping_ends_between_batches(open_session):
    """A batch that has begun is finished and reported; the next does not begin."""
    recorded = run(open_session({"batch_size": 2}), stop_after=2)
    assert recorded.batches == [[0, 1], [2, 3]]
    assert sorted(recorded.done) == [0, 1, 2, 3]


def test_the_longest_prompts_can_go_first(model, open_session):
    """Sorting changes who is batched with whom, and no answer."""
    recorded = run(open_session({"batch_size": 3, "sort_by_length": True}))
    assert recorded.batches == [[2, 5, 4], [0, 3, 1]]
    assert recorded.outputs() == [by_hand(model, prompt, 12) for prompt in PROMPTS]


def test_sampling_draws_the_same_in_every_pass_and_differs_by_seed(open_session):
    """Passes of a window, and trials of a cycle, differ by nothing but the machine."""
    decoder = Decoder(max_new_tokens=12, decoding_strategy="sampling", temperature=1.5)
    session = open_session({"batch_size": 3}, decoder)
    first, second = run(session).outputs(), run(session, requests(first=6)).outputs()
    assert first == second
    assert run(open_session({"batch_size": 3}, decoder)).outputs() == first
    assert run(open_session({"batch_size": 3}, decoder, seed=8)).outputs() != first


def test_sampling_is_not_cut_to_a_few_likely_tokens(open_session):
    """Neither the model's own top_k of 3 nor the library's 50 applies when the decoder names none."""
    decoder = Decoder(max_new_tokens=60, decoding_strategy="sampling", temperature=100.0)
    outputs = run(open_session({"batch_size": 6}, decoder), requests(limits=(60,) * 6)).outputs()
    assert len({token for ids in outputs for token in ids}) > 80


def test_a_repetition_penalty_does_not_depend_on_padding(open_session):
    """Padding is no text: the same answers in a batch as alone."""
    decoder = Decoder(max_new_tokens=12, repetition_penalty=1.3)
    alone = run(open_session({"batch_size": 1}, decoder)).outputs()
    assert run(open_session({"batch_size": 6}, decoder)).outputs() == alone
    assert alone != run(open_session({"batch_size": 1})).outputs()


def test_beams_have_no_token_times(model, open_session):
    """A step of beam search is no token of the answer: ends are reported, tokens are not stamped."""
    decoder = Decoder(max_new_tokens=12, decoding_strategy="beam", num_beams=3)
    limits = (3, 12, 1, 7, 12, 5)
    recorded = run(open_session({"batch_size": 4}, decoder), requests(limits=limits))
    assert [len(ids) for ids in recorded.outputs()] == list(limits)
    assert not recorded.steps
    assert not recorded.tokens
    assert all(completion.finished_ns > 0 for completion in recorded.done.values())


def test_a_draft_model_changes_no_greedy_answer(model, open_session):
    """Speculative decoding is exact: only the time differs, and tokens come several at once, unstamped."""
    decoder = Decoder(max_new_tokens=12, speculative_decoding=True)
    session = open_session({"num_assistant_tokens": 3}, decoder, draft_model=replace(model, name="draft"))
    recorded = run(session)
    assert recorded.outputs() == [by_hand(model, prompt, 12) for prompt in PROMPTS]
    assert not recorded.steps


def test_tokens_looked_up_in_the_text_change_no_greedy_answer(model, open_session):
    """Speculative decoding without a draft model."""
    decoder = Decoder(max_new_tokens=12, speculative_decoding=True)
    recorded = run(open_session({"prompt_lookup_num_tokens": 2}, decoder))
    assert recorded.outputs() == [by_hand(model, prompt, 12) for prompt in PROMPTS]


@pytest.fixture
def prepared(tmp_path):
    """The prompts as a study's prepared inputs, on disk."""
    packed, lengths = pack_ids(PROMPTS), tuple(map(len, PROMPTS))
    inputs = prepared_inputs(lengths)
    write_inputs(tmp_path, replace(inputs.description, sha256=ids_sha256(packed, lengths)), packed)
    return str(tmp_path)


def test_a_static_cache_changes_no_answer_and_never_grows(model, open_session, prepared):
    """One size for the whole study: the longest prompt and the longest output."""
    session = open_session({"batch_size": 4, "cache_implementation": "static"}, inputs=prepared, n=6)
    assert run(session).outputs() == [by_hand(model, prompt, 12) for prompt in PROMPTS]
    effective = session.facts().effective_options
    assert effective["max_cache_len"] >= max(map(len, PROMPTS)) + 12
    assert effective["torch_compile"] is False


def test_facts_are_asked_of_the_engine(open_session):
    """What is in memory and where it computes."""
    facts = open_session({"attn_implementation": "eager"}).facts()
    parameters = 2 * VOCABULARY * 64 + 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64) + 64
    assert (facts.engine, facts.batching, facts.device, facts.device_ids) == ("transformers", "static", "cpu", ("cpu",))
    assert (facts.parameters, facts.weight_bytes) == (parameters, 4 * parameters)
    assert (facts.precision, facts.weight_types, facts.attention, facts.threads) == ("fp32", ("fp32",), "eager", 1)
    assert facts.effective_options["attn_implementation"] == "eager"
    assert facts.effective_options["cache_implementation"] == "dynamic"
    encode(facts)


@pytest.mark.parametrize(
    ("precision", "held", "size"), [("bf16", "bf16", 2), ("fp16", "fp16", 2), ("as_stored", "fp32", 4)]
)
def test_the_precision_is_the_type_of_the_weights(open_session, precision, held, size):
    """Precision is what is held, not what is claimed."""
    facts = open_session(precision=precision).facts()
    assert (facts.precision, facts.weight_types, facts.weight_bytes) == (held, (held,), size * facts.parameters)


def test_a_cpu_has_no_device_memory(open_session):
    """Nobody counts it, so it is missing and not 0."""
    memory = open_session().memory()
    assert memory.allocated_peak_bytes is memory.reserved_peak_bytes is None


@pytest.mark.parametrize("as_file", [False, True])
def test_random_weights_need_only_a_configuration(tmp_path, open_session, as_file):
    """Made by the model's own initialisation from the seed, at its scale, and never zeros."""
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], **SHAPE, "initializer_range": 0.02})
    )
    path = tmp_path / "config.json" if as_file else tmp_path
    ref = ModelRef("random", str(path), "directory")
    first = open_session(model=ref, weights="random", seed=1)
    assert len(run(first).outputs()) == len(PROMPTS)
    weight = first._loaded.model.model.layers[0].mlp.up_proj.weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    same, other = (open_session(model=ref, weights="random", seed=seed)._loaded.model for seed in (1, 2))
    assert torch.equal(weight, same.model.layers[0].mlp.up_proj.weight)
    assert not torch.equal(weight, other.model.layers[0].mlp.up_proj.weight)
    assert not any(bool((parameter == 0).all()) for parameter in same.parameters())


def test_weights_that_the_files_lack_are_an_error(model, tmp_path, open_session):
    """Transformers would make them up and go on."""
    from safetensors.torch import load_file, save_file

    weights = load_file(f"{model.path}/model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((Path(model.path) / "config.json").read_bytes())
    with pytest.raises(BackendError, match=r"1 weights are not in its files, the first model\.layers\.1\.mlp\.up_proj"):
        open_session(model=ModelRef("cut", str(tmp_path), "directory"))


def test_a_damaged_file_is_the_engine_s_error(model, tmp_path, open_session):
    """What the reader of safetensors raises leaves as ours."""
    (tmp_path / "config.json").write_bytes((Path(model.path) / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0 no safetensors")
    with pytest.raises(BackendError, match="loading damaged"):
        open_session(model=ModelRef("damaged", str(tmp_path), "directory"))


def test_running_out_of_memory_is_a_memory_error():
    """Torch's own allocator, asked for a petabyte."""
    with pytest.raises(MemoryError, match="generating"), engine_errors("generating"):
        torch.empty(2**50)


def test_a_gguf_file_is_not_opened_as_it_is(gguf_file, open_session):
    """Dequantising it takes half a minute each time: it is converted once, before."""
    with pytest.raises(BackendError, match="is a GGUF file"):
        open_session(model=gguf_file)


def test_a_device_that_is_not_there_is_refused(open_session):
    """With what is there instead."""
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device that the test takes for missing")
    with pytest.raises(BackendError, match="finds no mps") as refused:
        open_session(device="mps")
    assert refused.value.hint


def test_tensor_parallelism_of_one_process_is_refused(open_session):
    """Transformers would load the whole model and say nothing."""
    with pytest.raises(BackendError, match="needs several processes"):
        open_session({"tp_plan": "auto"})


def test_a_model_that_does_not_compile_is_refused(open_session, prepared, monkeypatch):
    """Transformers would only log that compilation is skipped, and the trial would claim it."""
    monkeypatch.setattr(transformers.GenerationMixin, "_valid_auto_compile_criteria", lambda *_: False)
    with pytest.raises(BackendError, match="does not compile"):
        open_session({"torch_compile": True}, inputs=prepared, n=6)


def test_dynamic_int8_holds_int8(open_session):
    """Torch's own quantisation: the linear layers in int8, the rest as it was."""
    session = open_session({"batch_size": 2, "quantization": "dynamic-int8"})
    recorded = run(session)
    facts = session.facts()
    assert [len(ids) for ids in recorded.outputs()] == [12] * 6
    assert set(facts.weight_types) == {"int8", "fp32"}
    assert facts.weight_bytes < 4 * facts.parameters


@pytest.mark.parametrize(
    ("name", "package", "types"),
    [
        ("bnb-int8", "bitsandbytes", {"int8"}),
        ("bnb-nf4", "bitsandbytes", {"nf4"}),
        ("torchao-int8wo", "torchao", {"int8"}),
        ("torchao-int8dq", "torchao", {"int8"}),
    ],
)
@pytest.mark.parametrize("weights", ["real", "random"])
def test_quantised_weights_are_held_quantised_or_the_library_is_named(open_session, name, package, types, weights):
    """With the library the weights shrink; without it the refusal says what to install."""
    if find_spec(package) is None:
        with pytest.raises(BackendError) as refused:
            open_session({"quantization": name}, precision="bf16", weights=weights)
        assert refused.value.hint == f"pip install {package}"
        return
    session = open_session({"batch_size": 2, "quantization": name}, precision="bf16", weights=weights)
    assert [len(ids) for ids in run(session).outputs()] == [12] * 6
    facts = session.facts()
    assert types <= set(facts.weight_types)
    assert facts.weight_bytes < 2 * facts.parameters


@pytest.mark.parametrize("merge", [False, True])
def test_an_adapter_changes_answers_the_same_way_merged_or_not(model, open_session, tmp_path, merge):
    """Beside the weights or added to them: the same function, other work."""
    if find_spec("peft") is None:
        with pytest.raises(BackendError) as refused:
            open_session(lora=Lora("adapter", str(tmp_path), merge))
        assert refused.value.hint == "pip install peft"
        return
    import peft

    torch.manual_seed(11)
    base = transformers.LlamaForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(tmp_path)
    session = open_session({"batch_size": 3}, lora=Lora("adapter", str(tmp_path), merge))
    plain = open_session()
    outputs = run(session).outputs()
    assert outputs != run(plain).outputs()
    assert outputs == run(open_session(lora=Lora("adapter", str(tmp_path), not merge))).outputs()
    assert (session.facts().parameters == plain.facts().parameters) is merge


def test_tied_weights_count_once(tmp_path):
    """A table that is looked up and multiplied with is one table in memory."""
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE, tie_word_embeddings=True))
    held = weights_held(llama, None)
    assert held.total_bytes == 4 * llama.num_parameters()
    assert held.types == ("fp32",)


def test_raw_text_gets_the_tokenizer_s_own_special_tokens_once(model):
    """The beginning-of-text token stands once, at the beginning."""
    tokenizer = BACKEND.tokenizer(model)
    assert tokenizer.encode("w5 w6 w7") == (BOS, 5, 6, 7)


def test_a_process_of_its_own_tokenises_without_torch(model):
    """It is there in half the time, with the same ids and the same hash."""
    code = (
        "import sys\n"
        "from llenergymeasure.backends.pytorch import BACKEND\n"
        "from llenergymeasure.model.inputs import Message\n"
        "from llenergymeasure.model.job import ModelRef\n"
        "one = BACKEND.tokenizer(ModelRef('tiny', sys.argv[1], 'directory'))\n"
        "print((one.encode('w5 w6 w7'), one.encode_chat([Message('user', 'w9')]), one.sha256))\n"
        "assert 'torch' not in sys.modules\n"
    )
    here = BACKEND.tokenizer(model)
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, model.path], check=True, capture_output=True, text=True
    ).stdout
    assert said.strip() == str((here.encode("w5 w6 w7"), here.encode_chat([Message("user", "w9")]), here.sha256))


def test_a_chat_gets_the_template_s_special_tokens_and_no_others(model):
    """The template writes them, ready for the answer; the tokenizer adds none."""
    tokenizer = BACKEND.tokenizer(model)
    assert tokenizer.encode_chat([Message("user", "w9 w10"), Message("assistant", "w8")]) == (BOS, 3, 9, 10, 3, 8, 4)


def test_a_template_that_refuses_messages_is_named(model):
    """Some templates take no system turn; the error says that it was the template."""
    with pytest.raises(BackendError, match="refuses these messages: no system turns"):
        BACKEND.tokenizer(model).encode_chat([Message("system", "w9")])


def copied_tokenizer(model, folder, change):
    source = Path(model.path)
    for name in TOKENIZER_FILES:
        (folder / name).write_text(change(name, (source / name).read_text()))
    return BACKEND.tokenizer(ModelRef("copy", str(folder), "directory"))


def test_a_model_without_a_chat_template_says_so(model, tmp_path):
    """The remedy is another prompt format."""
    tokenizer = copied_tokenizer(model, tmp_path, lambda name, text: "" if name.endswith(".jinja") else text)
    with pytest.raises(BackendError, match="no chat template") as refused:
        tokenizer.encode_chat([Message("user", "w9")])
    assert "raw" in refused.value.hint


def test_the_tokenizer_s_hash_follows_what_decides_ids(model, tmp_path):
    """The same files elsewhere have the same hash; another word, special token or template has another."""
    own = BACKEND.tokenizer(model).sha256
    changes = {
        "same": lambda name, text: text,
        "word": lambda name, text: text.replace('"w50"', '"v50"'),
        "special": lambda name, text: text.replace('"<s>"', '"<S>"'),
        "template": lambda name, text: text.replace(" w4", " w5"),
    }
    hashes = {}
    for what, change in changes.items():
        (folder := tmp_path / what).mkdir()
        hashes[what] = copied_tokenizer(model, folder, change).sha256
    assert hashes.pop("same") == own
    assert len({own, *hashes.values()}) == 4


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """A llama of one layer whose matrices are quantised to Q8_0, its embedding tied, with a tokenizer of single letters."""
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    path = tmp_path_factory.mktemp("gguf") / "letters.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    words = ["<s>", "</s>", *map(chr, range(ord("a"), ord("z") + 1)), "th", "the"]
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3, 3, *[1] * (len(words) - 2)])
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    shapes = {
        "attn_q": (64, 64),
        "attn_k": (32, 64),
        "attn_v": (32, 64),
        "attn_output": (64, 64),
        "ffn_gate": (96, 64),
        "ffn_up": (96, 64),
        "ffn_down": (64, 96),
    }
    tensors = {"token_embd.weight": (len(words), 64)}
    tensors |= {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}
    draws = numpy.random.default_rng(5)
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, shape in tensors.items():
        numbers = draws.normal(0, 0.1, shape).astype(numpy.float32)
        writer.add_tensor(name, gguf.quants.quantize(numbers, q8), raw_dtype=q8)
    for name in ("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"):
        writer.add_tensor(name, numpy.ones(64, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return ModelRef("letters", str(path), "gguf", quantised=True)


def test_a_converted_gguf_holds_the_numbers_of_the_file(gguf_file, open_session, tmp_path):
    """Dequantised without rounding, with the same tokenizer; what is there already stays, and no draft is left beside it."""
    import gguf
    from safetensors.torch import load_file

    folder = tmp_path / "converted"
    for _ in range(2):
        BACKEND.convert(ConvertJob("pytorch", gguf_file, str(folder)))
    assert [path.name for path in tmp_path.iterdir()] == ["converted"]
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(gguf_file.path).tensors}["blk.0.ffn_up.weight"]
    expected = torch.from_numpy(gguf.quants.dequantize(stored.data, stored.tensor_type))
    weight = load_file(folder / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]
    assert torch.equal(weight, expected)
    assert not torch.equal(weight, weight.bfloat16().float())
    converted = ModelRef("letters", str(folder), "directory")
    one, other = BACKEND.tokenizer(gguf_file), BACKEND.tokenizer(converted)
    assert (one.encode("theta"), one.sha256) == (other.encode("theta"), other.sha256)
    session = open_session(model=converted)
    assert len(run(session).done) == len(PROMPTS)
    assert session.facts().precision == "fp32"


def test_a_directory_is_not_converted(model, tmp_path):
    """Only GGUF files are."""
    with pytest.raises(BackendError, match="no GGUF"):
        BACKEND.convert(ConvertJob("pytorch", model, str(tmp_path / "there")))
    assert not (tmp_path / "there").exists()


def test_a_failed_conversion_leaves_nothing(tmp_path):
    """Neither a destination nor a draft beside it."""
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\3\0\0\0")
    (folder := tmp_path / "cache").mkdir()
    with pytest.raises(BackendError):
        BACKEND.convert(
            ConvertJob("pytorch", ModelRef("broken", str(tmp_path / "broken.gguf"), "gguf"), str(folder / "x"))
        )
    assert list(folder.iterdir()) == []
