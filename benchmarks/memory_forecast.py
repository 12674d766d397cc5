"""Does the memory forecast hold? What processes really take at their peak, over the bare engine, against what was foreseen."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import Row, Section

_WITHIN = 0.08
_BATCHES = 4

_BASE = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
}


def _shape(kind: str, model_type: str, hidden: int, feed_forward: int, layers: int, heads: int, kv: int, **own):
    return {
        **_BASE,
        "architectures": [kind],
        "model_type": model_type,
        "hidden_size": hidden,
        "intermediate_size": feed_forward,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        **own,
    }


_SHAPES = {
    "grouped heads, gated, untied": _shape(
        "LlamaForCausalLM", "llama", 1024, 2816, 12, 16, 4, vocab_size=32000, tie_word_embeddings=False
    ),
    "wide vocabulary, tied": _shape(
        "Qwen2ForCausalLM", "qwen2", 896, 2432, 8, 14, 2, vocab_size=151936, tie_word_embeddings=True
    ),
    "eight experts": _shape(
        "MixtralForCausalLM", "mixtral", 512, 1024, 8, 8, 4, vocab_size=32000, tie_word_embeddings=False,
        num_local_experts=8, num_experts_per_tok=2, sliding_window=None,
    ),
    "a key for each head": _shape(
        "LlamaForCausalLM", "llama", 1280, 3456, 10, 20, 20, vocab_size=16000, tie_word_embeddings=False
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One workload. ``model`` is a name of the configuration, or a shape of ours."""

    backend: str
    model: str
    precision: str
    batch: int
    input_tokens: int
    output_tokens: int

    @property
    def weights(self) -> str:
        return "real" if self.model.startswith("builtin:") else "random"

    @property
    def label(self) -> str:
        name = self.model.rpartition(":")[2]
        return f"{name}, {self.backend} {self.precision}, {self.batch} × ({self.input_tokens} + {self.output_tokens})"


_SMOLLM2 = "builtin:smollm2-135m"
_CASES = (
    *(Case("pytorch", _SMOLLM2, "bf16", batch, 64, 16) for batch in (1, 8)),
    *(Case("pytorch", _SMOLLM2, "fp32", batch, 64, 16) for batch in (1, 8, 16)),
    *(Case("llamacpp", _SMOLLM2, "as_stored", batch, 64, 16) for batch in (1, 8, 16)),
    *(Case("pytorch", name, "bf16", batch, 128, 8) for name in _SHAPES for batch in (1, 8)),
    *(Case("pytorch", "preset:gpt2", "fp32", batch, 128, 8) for batch in (1, 8)),
)


def run() -> Section:
    """Each case in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, config in _SHAPES.items():
            _file(Path(folder), name).write_text(json.dumps(config), encoding="utf-8")
        for case in _CASES:
            rows.append(_row(case, Path(folder)))
            print("  ", *dataclasses.astuple(rows[-1]), file=sys.stderr, flush=True)
    return Section(
        "Memory forecast",
        "python -m benchmarks.run memory_forecast",
        f"Peak of resident memory over {_BATCHES} batches, minus that of a process that has only imported the engine with the code of the model; against the forecast made without the engine. Shapes that are no published model hold random weights.",
        ("model, engine, batch × (input + output)", "forecast", "measured", "ratio", "met"),
        tuple(rows),
    )


def _row(case: Case, folder: Path) -> Row:
    command = [sys.executable, "-m", "benchmarks.memory_forecast", json.dumps(dataclasses.asdict(case)), str(folder)]
    # Threads that wait without spinning: on a busy machine the others get on.
    patient = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=patient)
    measured = json.loads(ended.stdout.splitlines()[-1])
    forecast = _forecast(case, folder)
    ratio = forecast / measured
    return Row(
        case.label,
        f"{forecast / 2**20:,.0f} MiB",
        f"{measured / 2**20:,.0f} MiB",
        f"{ratio:.3f}",
        f"{'yes' if abs(ratio - 1) <= _WITHIN else 'no'} (±{_WITHIN:.0%})",
    )


def _forecast(case: Case, folder: Path) -> int:
    from llenergymeasure.backends.memory import MemoryNeed, Workload
    from llenergymeasure.config import backend_section

    spec = backend_section.spec_of(case.backend)
    workload = Workload(
        model=_model(case, folder),
        weights=case.weights,
        precision=case.precision,
        device="cpu",
        options=spec.options(**{spec.concurrency_option: case.batch}),
        sequences=case.batch,
        input_tokens=case.input_tokens,
        output_tokens=case.output_tokens,
    )
    need = spec.memory(workload)
    assert isinstance(need, MemoryNeed), need
    return need.added_bytes


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '-').replace(',', '')}.json"


def _model(case: Case, folder: Path):
    from llenergymeasure.models.resolve import find_model
    from llenergymeasure.study.convert import as_opened

    name = str(_file(folder, case.model)) if case.model in _SHAPES else case.model
    stored = find_model(name, None, base=Path(), weights=case.weights, say=lambda *said: None)
    return as_opened(stored, case.backend, "local", lambda *said: None)


def _measured(case: Case, folder: Path) -> int:
    """Bytes that this process takes at its peak over what it takes with the engine imported."""
    from llenergymeasure import plugins
    from llenergymeasure.config import backend_section
    from llenergymeasure.model.inputs import pack_ids, write_inputs
    from llenergymeasure.model.job import BackendChoice, Decoder
    from llenergymeasure.model.request import Request
    from llenergymeasure.testing.builders import prepared_inputs, trial_job
    from llenergymeasure.worker.identity import process_peak_bytes

    model = _model(case, folder)
    inputs = prepared_inputs([case.input_tokens] * case.batch)
    write_inputs(folder, inputs.description, pack_ids(inputs.ids))
    job = dataclasses.replace(
        trial_job(inputs=str(folder), n=case.batch, max_new_tokens=case.output_tokens),
        backend=BackendChoice(case.backend, {backend_section.spec_of(case.backend).concurrency_option: case.batch}),
        model=model,
        weights=case.weights,
        precision=case.precision,
        decoder=Decoder(max_new_tokens=case.output_tokens),
        device="cpu",
    )
    requests = tuple(Request(row, row, ids, case.output_tokens) for row, ids in enumerate(inputs.ids))
    _import_engine(case.backend, model.path)
    bare = process_peak_bytes()
    session = plugins.load("backends", case.backend).open(job)
    for _ in range(_BATCHES):
        session.run(requests, _Nothing())
    return process_peak_bytes() - bare


def _import_engine(backend: str, path: str) -> None:
    if backend == "llamacpp":
        import xllamacpp  # noqa: F401

        return
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM

    _ = AutoModelForCausalLM._model_mapping[type(AutoConfig.from_pretrained(path))]


class _Nothing:
    """A sink that keeps nothing."""

    def submitted(self, requests: object) -> int:
        return 0

    def step(self, batch: int) -> None: ...

    def token(self, sequence: int) -> None: ...

    def now_ns(self) -> int:
        return 0

    def finished(self, completion: object) -> None: ...

    def stopping(self) -> bool:
        return False


if __name__ == "__main__":
    print(_measured(Case(**json.loads(sys.argv[1])), Path(sys.argv[2])))
