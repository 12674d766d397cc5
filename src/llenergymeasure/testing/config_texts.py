"""Configuration files made at random that are valid: what every loader, form and editor has to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import yaml

Draw = Callable[[Random], Any]
Data = dict[str, Any]


def _one_of(*values: Any) -> Draw:
    return lambda random: random.choice(values)


def _between(low: float, high: float) -> Draw:
    return lambda random: round(random.uniform(low, high), random.choice((0, 1, 3)))


def _whole(low: int, high: int) -> Draw:
    return lambda random: random.randint(low, high)


def _some(fields: Mapping[str, Draw]) -> Draw:
    """A mapping with some of these fields, in any order."""
    return lambda random: {
        name: fields[name](random) for name in random.sample(sorted(fields), random.randint(0, len(fields)))
    }


def _sampling(random: Random) -> Data:
    return {"decoding_strategy": "sampling", "temperature": 0.7, "top_p": 0.9, "top_k": random.randint(1, 80)}


def _decoder(random: Random) -> Data:
    lengths = {"max_new_tokens": random.randint(16, 512), "min_new_tokens": random.randint(1, 16)}
    plain = {"decoding_strategy": "greedy", "ignore_eos": random.random() < 0.5, "repetition_penalty": 1.1}
    return random.choice((lengths, plain, _sampling(random), lengths | plain))


_LENGTH: Draw = lambda random: random.choice(  # noqa: E731 - a table of draws holds draws
    (
        random.randint(1, 4096),
        {"uniform": {"min": 8, "max": random.randint(8, 900)}},
        {"normal": {"mean": 100.5, "std": 20, "min": 1, "max": 4096}},
        {"lognormal": {"median": 120, "sigma": 0.8}},
    )
)

_DATASET: Draw = lambda random: random.choice(  # noqa: E731
    (
        "mixed",
        "synthetic",
        "./prompts.jsonl",
        "owner/name",
        {"path": "prompts.csv", "column": "text"},
        {"hub": "owner/name", "split": "test", "subset": "en", "revision": "12e4567"},
        {
            "synthetic": {
                "n": random.randint(1, 50),
                "input_len": _LENGTH(random),
                "output_len": _LENGTH(random),
                "seed": 1,
            }
        },
    )
)

# Every shared field of an experiment, with values that are valid together.
FIELDS: Mapping[str, Draw] = {
    "model": _one_of(
        "owner/name", "builtin:smollm2-135m", "./dir", "/models/a b.gguf", "~/m", 'quote"d', "模型/é", "2024"
    ),
    "model_revision": _one_of("main", "0123abc", "12e4567", "0012"),
    "weights": _one_of("real"),
    "backend": _one_of("pytorch", "llamacpp", "vllm", "tensorrt", "simulated"),
    "environment": _one_of("engine-1.0", None),
    "device": _one_of("auto"),
    "precision": _one_of("bf16", "fp16", None),
    "dataset": _DATASET,
    "n": _whole(1, 1000),
    "dataset_order": _one_of("file", "shuffled"),
    "prompt_format": _one_of("raw", "chat"),
    "max_input_tokens": _one_of(1, 64, 2048, None),
    "random_seed": _whole(0, 2**31 - 1),
    "decoder": _decoder,
    "lora": _one_of(None),
    "power": _one_of(None, {"cap_w": 300}, {"sm_clock_mhz": 1410, "mem_clock_mhz": 1593}),
    "cold_start": _one_of(False),
    "warmup": _some(
        {"strategy": _one_of("steady", "fixed"), "n_warmup": _whole(1, 9), "cv_target": _one_of(0.1, 1e-2)}
    ),
    "window": _some({"min_seconds": _between(0, 30), "max_seconds": _whole(30, 90)}),
    "baseline": _some({"enabled": _one_of(True, False), "duration_seconds": _between(0.5, 9)}),
    "energy": _some({"source": _one_of("auto", "none", "nvml,estimate")}),
    "trust_remote_code": _one_of(True, False),
}

# Options of sections; ``simulated`` takes no precision that ``FIELDS`` does not.
SECTIONS: Mapping[str, Mapping[str, Draw]] = {
    "pytorch": {
        "batch_size": _whole(1, 64),
        "attn_implementation": _one_of("sdpa", "eager"),
        "num_threads": _whole(1, 8),
        "passthrough_kwargs": _one_of({}, {"some_argument": [1, {"deep": None}]}),
    },
    "llamacpp": {"n_parallel": _whole(1, 64), "n_threads": _whole(1, 8), "flash_attn": _one_of(True, None)},
    "vllm": {"max_num_seqs": _whole(1, 512), "gpu_memory_utilization": _one_of(0.5, 0.9)},
    "tensorrt": {},
    "simulated": {"concurrency": _whole(1, 9), "batching": _one_of("static", "engine")},
}

EXECUTION: Mapping[str, Draw] = {
    "n_cycles": _whole(1, 9),
    "cycle_order": _one_of("sequential", "interleaved", "shuffled"),
    "order_seed": _one_of(None, 7),
    "config_gap_seconds": _between(0, 5),
    "cycle_gap_seconds": _between(0, 5),
    "max_consecutive_failures": _whole(1, 5),
    "trial_timeout_seconds": _between(1, 600),
    "max_seconds": _between(1, 600),
}

_SWEEPS: Mapping[str, Sequence[Any]] = {
    "n": (1, 2, 10),
    "dataset_order": ("file", "shuffled"),
    "decoder.max_new_tokens": (16, 32, 128),
    "random_seed": (1, 2),
    "dataset": ("mixed", {"synthetic": {"input_len": 8}}),
}


# Of these keys a study groups some; what it sweeps is another key.
_GROUPED: Mapping[str, Draw] = {
    "max_input_tokens": _one_of(64, 512, None),
    "trust_remote_code": _one_of(True, False),
    "environment": _one_of("engine-1.0", "engine-2.0"),
    "warmup.strategy": _one_of("steady", "fixed"),
    "prompt_format": _one_of("raw", "chat"),
}

_RANGES: Mapping[str, Sequence[Any]] = {
    "decoder.max_new_tokens": ({"pow2": [16, 256]}, {"linspace": [16, 64, 4]}),
    "n": ({"logspace": [1, 1000, 4]}, {"linspace": [10, 10, 1]}),
    "random_seed": ({"linspace": [0, 9, 4]},),
}

# Filters that leave something of any study made here.
_FILTERS = (
    "n < 2000",
    "n * decoder.max_new_tokens <= 10000000",
    "not (prompt_format == 'chat' and n > 5000)",
    "pytorch.batch_size // 2 <= 32 or dataset_order in ['file', \"shuffled\"]",
    "-1 < random_seed <= 2147483647 and true",
    "(max_input_tokens % 64 == 0 or not max_input_tokens in [64, 512]) or 1.5e0 > .5",
)


def experiment_data(random: Random) -> Data:
    """A valid experiment as plain data, its keys in any order."""
    data = {name: FIELDS[name](random) for name in random.sample(sorted(FIELDS), random.randint(0, len(FIELDS)))}
    data["model"] = FIELDS["model"](random)
    if "backend" in data and random.random() < 0.7:
        data[data["backend"]] = _some(SECTIONS[data["backend"]])(random)
    if data.get("backend") in ("llamacpp", "tensorrt"):  # they compute in what is stored, or support less
        data.pop("precision", None)
    return data


def study_data(random: Random) -> Data:
    """A valid study as plain data."""
    data = experiment_data(random)
    backend = data.pop("backend", None)
    data.pop("precision", None)
    data.pop("decoder", None)
    swept = random.sample(sorted(_SWEEPS), random.randint(1, 3))
    data["sweep"] = {key: list(_SWEEPS[key])[: random.randint(1, 3)] for key in swept}
    if backend is not None:
        data["backend"] = backend
        data["sweep"] |= {
            f"{backend}.{key}": [draw(random)] for key, draw in SECTIONS[backend].items() if key != "flash_attn"
        }
    elif random.random() < 0.5:
        data["backend"] = ["pytorch", "llamacpp"]
    for key in [key for key in swept if key in _RANGES and random.random() < 0.3]:
        data["sweep"][key] = random.choice(_RANGES[key])
    if random.random() < 0.4:
        draw = _some(_GROUPED)
        data["groups"] = {"one group": [{}, draw(random), draw(random)]}
    if random.random() < 0.4:
        data["where"] = random.sample(_FILTERS, random.randint(1, 3))
    if random.random() < 0.5:
        data["execution"] = _some(EXECUTION)(random)
    if random.random() < 0.3:
        named = {"backend": "pytorch"} if isinstance(data.get("backend"), list) else {}
        data["experiments"] = [
            {**named, "n": random.randint(1, 99)},
            {"random_seed": 3, "prompt_format": "chat", **named},
        ]
    if random.random() < 0.3:
        data["name"] = random.choice(("a study", "2024", "../x", "é"))
    return data


def as_yaml(data: Any, random: Random) -> str:
    """YAML of plain data in one of the styles that people and programs write."""
    return yaml.safe_dump(
        data,
        sort_keys=random.random() < 0.5,
        default_flow_style=random.choice((True, False, None)),
        allow_unicode=random.random() < 0.5,
        indent=random.choice((2, 4)),
        width=random.choice((40, 200)),
        explicit_start=random.random() < 0.1,
    )
