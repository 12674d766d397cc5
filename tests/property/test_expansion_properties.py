"""An expansion against the plainest one there is: every point is made and validated as an experiment of its own."""

from __future__ import annotations

import copy
import itertools
import random

import pytest
import yaml
from pydantic import ValidationError

from llenergymeasure import plugins
from llenergymeasure.config.backend_section import spec_of
from llenergymeasure.config.experiment import ExperimentConfig, known_keys
from llenergymeasure.config.hashing import measurement_config_hash
from llenergymeasure.config.problems import problems_of
from llenergymeasure.config.study import StudyConfig
from llenergymeasure.errors import ConfigError
from llenergymeasure.testing.config_texts import FIELDS, SECTIONS, study_data

# Values that are valid, that are not, and that are only with others.
VALUES = {
    "n": [1, 5, 100, 0, "many", 10**7],
    "precision": ["bf16", "fp16", "as_stored", None, "int8"],
    "random_seed": [1, 42, -1],
    "device": ["auto", "cpu", "mps"],
    "weights": ["real", "random"],
    "environment": ["a", "b", None, ""],
    "cold_start": [True, False, "perhaps"],
    "warmup.strategy": ["steady", "fixed", "never"],
    "model": ["m", "other", "", 2024],
    "dataset": ["mixed", "synthetic", {"synthetic": {"input_len": 8}}, {"path": "a.csv", "hub": "b/c"}],
    "lora": [None, {"adapter_id": "a/b"}, {}],
    "decoder.max_new_tokens": [8, 16, 128, 0],
    "decoder.min_new_tokens": [4, 12, None],
    "decoder.decoding_strategy": ["greedy", "sampling", "beam"],
    "decoder.top_k": [None, 5],
    "decoder.speculative_decoding": [True, False],
    "decoder.draft_model": [None, "small"],
    "pytorch.batch_size": [1, 8, 0, "x"],
    "pytorch.quantization": [None, "bnb-int8", "nothing"],
    "pytorch.passthrough_kwargs": [{}, {"a": [1]}, {"batch_size": 2}],
    "pytorch.passthrough_kwargs.b": [1, None],
    "llamacpp.n_parallel": [1, 4, -2],
    "llamacpp.flash_attn": [True, None],
}
FIXED = {
    "model": ["m"],
    "n": [7],
    "decoder": [{}, {"max_new_tokens": 16}, {"decoding_strategy": "sampling"}, 5],
    "pytorch": [{}, {"batch_size": 2}, {"passthrough_kwargs": {"c": {"d": 1}}}, None],
    "llamacpp": [{"n_parallel": 2}, {"nonsense": 1}],
    "window": [{"min_seconds": 1}, {"max_seconds": 1}],
    "cold_start": [True],
    "modle": ["m"],
    "dataset": ["mixed", {"synthetic": {"input_len": 64}}],
}
FILTERS = {
    "n <= 5": lambda n: n <= 5,
    "n * decoder.max_new_tokens < 200": lambda n, tokens: n * tokens < 200,
    "pytorch.batch_size >= 2 or n == 5": lambda batch, n: batch >= 2 or n == 5,
    "not (precision in ['fp16', 'bf16'] and n > 1)": lambda precision, n: not (precision in ["fp16", "bf16"] and n > 1),
    "decoder.max_new_tokens - 2 * n >= 0": lambda tokens, n: tokens - 2 * n >= 0,
    "llamacpp.n_parallel != 4": lambda slots: slots != 4,
    "backend == 'pytorch' or 1 < n <= 7": lambda backend, n: backend == "pytorch" or 1 < n <= 7,
}
READS = {
    "n <= 5": ["n"],
    "n * decoder.max_new_tokens < 200": ["n", "decoder.max_new_tokens"],
    "pytorch.batch_size >= 2 or n == 5": ["pytorch.batch_size", "n"],
    "not (precision in ['fp16', 'bf16'] and n > 1)": ["precision", "n"],
    "decoder.max_new_tokens - 2 * n >= 0": ["decoder.max_new_tokens", "n"],
    "llamacpp.n_parallel != 4": ["llamacpp.n_parallel"],
    "backend == 'pytorch' or 1 < n <= 7": ["backend", "n"],
}


def drawn(source: random.Random) -> StudyConfig:
    """A small study: most of its points are valid, and many are not."""
    backends = source.choice(
        [(), ("pytorch",), ("llamacpp",), ("pytorch", "llamacpp"), ("llamacpp", "pytorch", "vllm"), ("nosuch",)]
    )
    keys = source.sample(sorted(VALUES), source.randint(0, 5))
    keys = [
        key for key in keys if "." not in key or not backends or key.split(".")[0] in ("decoder", "warmup", *backends)
    ]
    some = {key: tuple(source.sample(VALUES[key], source.randint(1, min(3, len(VALUES[key]))))) for key in keys}
    grouped = [key for key in some if source.random() < 0.4]
    entries = tuple(
        {key: source.choice(VALUES[key]) for key in grouped if source.random() < 0.7}
        for _ in range(source.randint(1, 3))
    )
    groups = {"together": entries} if grouped else {}
    sweep = {key: values for key, values in some.items() if key not in grouped}
    fixed = {key: source.choice(FIXED[key]) for key in FIXED if source.random() < (0.98 if key == "model" else 0.2)}
    if source.random() < 0.9:
        fixed.pop("modle", None)
    explicit = ({"n": 5}, {"backend": "pytorch", "decoder": {"max_new_tokens": 8}}, {"precision": "int8"}, {"n": 7})
    return StudyConfig(
        name="drawn",
        backends=backends,
        fixed=fixed,
        sweep=sweep,
        groups=groups,
        where=tuple(source.sample(sorted(FILTERS), source.choice([0, 0, 1, 2]))),
        explicit=[
            {"backend": "llamacpp", **entry} if len(backends) > 1 else entry
            for entry in explicit[: source.choice([0, 0, 1, 4])]
        ],
    )


def set_plainly(data: dict, key: str, value: object) -> None:
    first, _, rest = key.partition(".")
    if not rest:
        data[first] = copy.deepcopy(value)
        return
    if not isinstance(data.get(first), dict):
        data[first] = {}
    set_plainly(data[first], rest, value)


def merged_plainly(below: dict, above: dict) -> dict:
    both = copy.deepcopy(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = merged_plainly(both[key], value) if nested else copy.deepcopy(value)
    return both


def is_others(key: str, backend: str | None) -> bool:
    first = key.split(".")[0]
    return first not in ExperimentConfig.model_fields and first != backend and plugins.is_known("backends", first)


def value_plainly(data: dict, backend: str | None, key: str) -> object:
    """The effective value of one field, validated alone."""
    first, *rest = key.split(".")
    if first == "backend":
        return backend
    own = {first: data[first]} if first in data else {}
    try:
        config = ExperimentConfig.model_validate({"model": "m", **own})
    except ValidationError:
        return None
    value = config.section(first) if first not in ExperimentConfig.model_fields else getattr(config, first)
    if value is None and first == backend:
        value = spec_of(first).options()
    for step in rest:
        value = getattr(value, step, None)
    return value


def plainly(study: StudyConfig) -> tuple[list, list, int, dict]:
    """(written configurations, (varied, reason), merged, filtered)."""
    points: list[tuple[dict, dict]] = []
    filtered: dict[str, int] = {}
    scopes = [key.split(".")[0] for key in study.varying.keys if is_others(key, None)]
    backends = study.backends or tuple(dict.fromkeys(scopes))
    if study.varying.keys or len(backends) > 1 or not study.explicit:
        for backend in backends or (None,):
            axes = [
                [{key: one} for one in values] for key, values in study.sweep.items() if not is_others(key, backend)
            ]
            axes += [
                [{key: one for key, one in entry.items() if not is_others(key, backend)} for entry in entries]
                for entries in study.groups.values()
            ]
            for choices in itertools.product(*axes):
                data = {
                    key: copy.deepcopy(one)
                    for key, one in study.fixed.items()
                    if backend is None or not is_others(key, backend)
                }
                varied = {"backend": backend} if len(backends) > 1 else {}
                if backend is not None:
                    data["backend"] = backend
                for choice in choices:
                    for key, one in choice.items():
                        set_plainly(data, key, one)
                        varied[key] = one
                for text in study.where:
                    values = [value_plainly(data, backend, key) for key in READS[text]]
                    if any(is_others(key, backend) for key in READS[text]) or any(one is None for one in values):
                        continue
                    if not FILTERS[text](*values):
                        filtered[text] = filtered.get(text, 0) + 1
                        break
                else:
                    points.append((varied, data))
    for entry in study.explicit:
        backend = entry.get("backend", backends[0] if len(backends) == 1 else None)
        below = {key: one for key, one in study.fixed.items() if backend is None or not is_others(key, backend)}
        varied = {
            "decoder.max_new_tokens" if key == "decoder" else key: 8 if key == "decoder" else one
            for key, one in entry.items()
        }
        points.append((varied, merged_plainly(below | ({"backend": backend} if backend else {}), entry)))
    seen, valid, skipped, merged = set(), [], [], 0
    for varied, data in points:
        try:
            config = ExperimentConfig.model_validate(data)
        except ValidationError as error:
            skipped.append((varied, [found.message for found in problems_of(error, known_keys())]))
            continue
        named = config if config.backend else config.model_copy(update={"backend": "open"})
        who = (measurement_config_hash(named), config.environment)
        merged += who in seen
        if who not in seen:
            valid.append((varied, config.written()))
        seen.add(who)
    return valid, skipped, merged, filtered


@pytest.mark.parametrize("part", range(8))
def test_an_expansion_is_what_plain_validation_of_every_point_gives(part):
    """The same points in the same order, the same skipped with the same reasons, the same merged and filtered."""
    compared = points = left = 0
    for number in range(250):
        study = drawn(random.Random(f"{part} {number}"))
        before = copy.deepcopy((study.fixed, study.sweep, study.groups))
        try:
            found = study.expansion
        except ConfigError as error:
            assert (
                "varied" in str(error)
                or "no backend is given" in str(error)
                or "is an option of" in str(error)
                or "unknown key" in str(error)
            )
            continue
        valid, skipped, merged, filtered = plainly(study)
        assert [(dict(point.varied), point.config.written()) for point in found.points] == valid
        assert [dict(point.varied) for point in found.skipped] == [varied for varied, _ in skipped]
        for point, (_, messages) in zip(found.skipped, skipped, strict=True):
            assert all(message in point.reason for message in messages), (point.reason, messages)
            assert point.reason.count("; ") >= len(messages) - 1
        assert (found.merged, dict(found.filtered)) == (merged, filtered)
        assert (study.fixed, study.sweep, study.groups) == before
        compared += 1
        points += len(valid)
        left += len(skipped)
    assert compared > 100 and points > 300 and left > 300


def test_a_base_and_a_study_are_one_file_in_two(tmp_path):
    """Whatever part of the shared keys the base holds, and of the keys of a section."""
    split = 0
    for number in range(120):
        source = random.Random(number)
        data = study_data(source)
        (tmp_path / "whole.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        below = {
            key: data.pop(key)
            for key in list(data)
            if key in (*FIELDS, *SECTIONS) and not isinstance(data["backend"] if key == "backend" else None, list)
            if source.random() < 0.5
        }
        for key, section in list(below.items()):
            if isinstance(section, dict) and key != "dataset" and len(section) > 1:
                name = source.choice(sorted(section))
                data[key] = {name: section.pop(name)}
        if not below:
            continue
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(below, sort_keys=False))
        (tmp_path / "study.yaml").write_text(
            yaml.safe_dump({**data, "name": "whole", "base": "base.yaml"}, sort_keys=False)
        )
        whole, parted = (StudyConfig.from_yaml(tmp_path / name) for name in ("whole.yaml", "study.yaml"))
        assert [config.written() for config in parted.experiments] == [config.written() for config in whole.experiments]
        assert (parted.expansion.merged, parted.expansion.filtered) == (
            whole.expansion.merged,
            whole.expansion.filtered,
        )
        split += 1
    assert split > 80
