"""Configurations that are right as YAML and wrong, or odd, in what they say; and some that are whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from llenergymeasure.config.experiment import LATER
from llenergymeasure.testing.config_texts import EXECUTION, Data, as_yaml, experiment_data, study_data

# A text or bytes, and whether a loader must take them, must refuse them, or may do either.
Made = tuple[str | bytes, bool | None]

_WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, "", "nonsense", "no", [], [1, 2], {}, {"a": 1}, "x" * 5000, [[[]]], 10**30, "\u202e", {"": {}},
)  # fmt: skip
_LATER = tuple(sorted(LATER))


def _valid_experiment(random: Random) -> Made:
    return as_yaml(experiment_data(random), random), True


def _valid_study(random: Random) -> Made:
    return as_yaml(study_data(random), random), True


def either(random: Random) -> Data:
    """The data of an experiment or of a study."""
    return experiment_data(random) if random.random() < 0.6 else study_data(random)


def _mapping(data: Data, random: Random) -> Data:
    """One of the mappings in the data, the outermost one most often."""
    inner = [value for value in data.values() if isinstance(value, dict) and value]
    return random.choice(inner) if inner and random.random() < 0.5 else data


def _misspelt(random: Random) -> Made:
    data = either(random)
    key = random.choice(sorted(data))
    place = random.randrange(len(key) + 1)
    wrong = random.choice(
        (key[:place] + "x" + key[place:], key[:place] + key[place + 1 :], key.upper(), key.replace("_", "-"))
    )
    data[wrong] = data.pop(key)
    return as_yaml(data, random), None if wrong == key else False


def _wrong_type(random: Random) -> Made:
    data = either(random)
    within = _mapping(data, random)
    within[random.choice(sorted(within))] = random.choice(_WRONG)
    return as_yaml(data, random), None


def _out_of_range(random: Random) -> Made:
    data = experiment_data(random)
    key, value = random.choice(
        (("n", 0), ("n", -5), ("n", 10**9), ("n", 10**30), ("max_input_tokens", 0), ("max_input_tokens", 10**18),
         ("random_seed", -1), ("random_seed", 2**31), ("device", "gpu"), ("precision", "int8"), ("weights", "none"),
         ("prompt_format", "Raw"), ("model", ""), ("warmup", {"cv_target": 1}), ("baseline", {"duration_seconds": 0}),
         ("window", {"min_seconds": 5, "max_seconds": 1}), ("window", {"min_seconds": 1e300}))
    )  # fmt: skip
    return as_yaml({**data, key: value}, random), False


def _combination(random: Random) -> Made:
    """Each value is fine; together they make no sense."""
    wrong: tuple[Data, ...] = (
        {"decoder": {"temperature": 0.5}},
        {"decoder": {"decoding_strategy": "beam"}},
        {"decoder": {"num_beams": 4}},
        {"decoder": {"min_new_tokens": 9, "max_new_tokens": 8}},
        {"decoder": {"draft_model": "m"}},
        {"backend": "pytorch", "llamacpp": {"n_parallel": 2}},
        {"backend": "simulated", "decoder": {"decoding_strategy": "beam", "num_beams": 2}},
        {"backend": "pytorch", "pytorch": {"quantization": "fp8"}},
        {"backend": "simulated", "device": "mps"},
        {"dataset": {"path": "a.csv", "hub": "a/b"}},
        {"dataset": {"path": "a.csv", "split": "x"}},
        {"dataset": {"synthetic": {"input_len": {"uniform": {"min": 9, "max": 8}}}}},
        {"backend": "pytorch", "pytorch": {"passthrough_kwargs": {"batch_size": 1}}},
    )
    return as_yaml({"model": "m", **random.choice(wrong)}, random), False


def _later(random: Random) -> Made:
    return as_yaml({**either(random), random.choice(_LATER): random.choice((1, {}, {"a": 1}, [1]))}, random), False


def _sweep_misuse(random: Random) -> Made:
    data = study_data(random)
    data["sweep"] = random.choice(
        ([], 5, "n", {"n": 5}, {"n": []}, {"n": {"pow2": [1, 8]}}, {"nn": [1]}, {"": [1]}, {".": [1]}, {"n.": [1]},
         {"decoder.": [1]}, {"decoder..x": [1]}, {"decoder.max": [1]}, {"nosuch.batch_size": [1]}, {"pytorch": [1]},
         {"pytorch.": [1]}, {"n": [0, -1]}, {"n": [[1]]}, {"n": [{"a": 1}]}, {"decoder": [{"top_p": 5}]}, {"sweep": [1]},
         {"backend": ["pytorch"]}, {"name": [1]}, {"n": ["x"] * 50}, {"model.x": [1]}, {"decoder.max_new_tokens.x": [1]},
         {"decoder": [{"top_p": 1}], "decoder.top_p": [1]}, {"decoder": [{"topp": 1}]}, {"dataset.synthetic.input_len": [8, 9]},
         {"dataset.synthetic.inputlen": [8]}, {"pytorch.batch_size": [1], "llamacpp.n_parallel": [1]}, {"window": [{}]})
    )  # fmt: skip
    return as_yaml(data, random), None


def _range_misuse(random: Random) -> Made:
    data = study_data(random)
    ends: tuple[Any, ...] = (
        None, 5, [], [1], [1, 2], [1, 2, 3, 4], ["a", "b"], [True, False], [8, 1], [0, 4], [-4, 4, 3], [1, 2, 0], [1, 2, -1],
        [1, 2, 1.5], [1, 2, 10**9], [1, 10**30], [1, 1e308, 3], [float("inf"), 1, 2], [3, 3], {"a": 1}, [[1, 2]], [5, 7],
    )  # fmt: skip
    made: Any = {random.choice(("pow2", "linspace", "logspace", "pow", "")): random.choice(ends)}
    data["sweep"] = {
        random.choice(("n", "precision", "model", "decoder.top_p", "nn", "decoder")): random.choice(
            (made, {**made, "x": 1}, {})
        )
    }
    return as_yaml(data, random), None


def _group_misuse(random: Random) -> Made:
    data = study_data(random)
    data["groups"] = random.choice(
        ([], 5, "n", {"a": 5}, {"a": []}, {"a": {}}, {"a": [5]}, {"a": [[]]}, {"a": [{"nn": 1}]}, {"a": [{"": 1}]},
         {"a": [{"n": 0}]}, {"a": [{"n": [1, 2]}]}, {"a": [{"n": {"pow2": [1, 4]}}]}, {"a": [{"window.min_seconds": 1}]},
         {"a": [{"n": 1}], "b": [{"n": 2}]}, {"a": [{"decoder": {}, "decoder.top_p": 1}]}, {"a": [{"backend": "pytorch"}]},
         {"a": [{"vllm.max_num_seqs": 1}, {"tensorrt.max_batch_size": 1}]}, {"a": [{"pytorch": {"batchsize": 1}}]}, {"": [{}]},
         {"a": [{key: [1] for key in list(data["sweep"])[:1]}]}, {"a": [{}] * 3000}, {"a": [{}] * 400, "b": [{}] * 400})
    )  # fmt: skip
    return as_yaml(data, random), None


def _filter_misuse(random: Random) -> Made:
    data = study_data(random)
    wrong = (
        "", " ", "n", "n <", "< 5", "n = 5", "n == ", "(n == 5", "n == 5)", "n == 5 n", "nn == 5", "decoder == 5", "n == abc",
        "n + 1", "'a' < 5", "n == 5 and", "not", "n not 5", "n in 5", "n in []", "n in [1,", "precision * 2 == 4", "n / 0 == 1",
        "n ** 9 ** 9 == 1", "n % 0 == 1", "1 / (n - n) > 0", "__import__('os')", "n.real > 0", "n; n", "n < 5 # x", "n == 'é",
        "(" * 400 + "n == 5" + ")" * 400, "(" * 15 + "n > 0" + ")" * 15, "-" * 300 + "n < 5", "not " * 100 + "n > 0",
        "n < " + "9" * 400, "1e99 * 1e99 * 1e99 * 1e99 < n", "9" * 450 + "/ 1 > 0", "n == 1e999", "n < 5 < ", "\u202e < n",
        "pytorch.batchsize > 1", "nosuch.batch_size > 1", "true", "false", "n > 0 or 5", "[n] == 5", "[n] < [5]", "n < 0",
        "lambda: 1", "n if n else 1", "'%s' % n == '5'", "'a' + 'b' == 'ab'", "n == n == n", "n." * 50 + "n > 1", "x" * 3000,
    )  # fmt: skip
    data["where"] = random.choice((5, "n < 5", {}, {"a": 1}, [5], [None], [[]], [], *([text] for text in wrong)))
    return as_yaml(data, random), None


def _base_misuse(random: Random) -> Made:
    """Only files that are not there, and this one, can be named: a base needs a second file."""
    wrong: tuple[Any, ...] = (
        5,
        [],
        {},
        "",
        "nosuch.yaml",
        "/dev/zero",
        ".",
        "a\0b",
        "../../nosuch.yaml",
        "study.yaml",
        "a file.yaml",
        True,
        ["x.yaml"],
    )
    return as_yaml({**study_data(random), "base": random.choice(wrong)}, random), False


def _study_misuse(random: Random) -> Made:
    data = study_data(random)
    data |= random.choice(
        ({"execution": 5}, {"execution": [1]}, {"execution": {"n_cycles": 0}}, {"execution": {"ncycles": 1}}, {"name": [1]},
         {"experiments": 5}, {"experiments": [5]}, {"experiments": {"n": 1}}, {"experiments": [{"backend": ["pytorch"]}]},
         {"experiments": [{"backend": {"a": 1}}]}, {"experiments": [{"nn": 1}]}, {"backend": [["pytorch"]]},
         {"backend": ["pytorch", "pytorch"]}, {"backend": ["pytroch"]}, {"backend": {"a": 1}}, {"backend": [5]},
         {"execution": {"max_seconds": "long"}}, {"execution": ""}, {"experiments": ""}, {"name": ""}, {"execution": False})
    )  # fmt: skip
    if random.random() < 0.3:
        data[random.choice(sorted(EXECUTION))] = 1
    return as_yaml(data, random), None


def _too_many_points(random: Random) -> Made:
    keys = ("n", "random_seed", "max_input_tokens", "decoder.max_new_tokens", "warmup.n_warmup", "window.min_seconds")
    return as_yaml({"model": "m", "sweep": {key: list(range(1, 80)) for key in keys}}, random), False


def _many_keys(random: Random) -> Made:
    data = {f"key_{index}": index for index in range(random.choice((30, 5000)))}
    return as_yaml(random.choice(({"model": "m", **data}, {"model": "m", "decoder": data})), random), False


def _many_entries(random: Random) -> Made:
    entry = random.choice(("{n: 0}", "{modle: 1}", "5", "{n: 1}"))
    return f"model: m\nexperiments: [{', '.join([entry] * random.choice((10, 3000)))}]\n", None


MAKERS: Mapping[str, Callable[[Random], Made]] = {
    "valid experiment": _valid_experiment,
    "valid study": _valid_study,
    "misspelt key": _misspelt,
    "wrong type": _wrong_type,
    "out of range": _out_of_range,
    "wrong together": _combination,
    "feature of later": _later,
    "sweep misuse": _sweep_misuse,
    "range misuse": _range_misuse,
    "group misuse": _group_misuse,
    "filter misuse": _filter_misuse,
    "base misuse": _base_misuse,
    "study misuse": _study_misuse,
    "too many points": _too_many_points,
    "many keys": _many_keys,
    "many entries": _many_entries,
}
