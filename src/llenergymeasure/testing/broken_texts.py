"""Configuration files made at random that are broken in one known way, beside some that are whole.

``case(random)`` draws a kind and makes one. The same source of randomness gives the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from llenergymeasure.config.experiment import LATER
from llenergymeasure.testing.config_texts import EXECUTION, Data, as_yaml, experiment_data, study_data

_WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, "", "nonsense", "no", [], [1, 2], {}, {"a": 1}, "x" * 5000, [[[]]], 10**30, "\u202e", {"": {}},
)  # fmt: skip
_NUMBERS = (
    "1e999",
    "-1e999",
    ".inf",
    "-.inf",
    ".nan",
    ".NaN",
    "9" * 299,
    "9" * 5000,
    "0x" + "f" * 200,
    "1e308",
    "-0",
    "1_0",
)
_ODD = (
    "\u202e",
    "\u200b",
    "\ufeff",
    "\U0001f600",
    "é",
    "\u0000",
    "\x07",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "\ufffe",
    "\x7f",
)
_LATER = tuple(sorted(LATER))


@dataclass(frozen=True, slots=True)
class Case:
    """A file. ``valid``: whether a loader must take it (``True``), must refuse it (``False``), or may do either (``None``)."""

    kind: str
    content: bytes
    valid: bool | None


def case(random: Random, kind: str | None = None) -> Case:
    """One file, of the given kind or of any."""
    kind = kind or random.choice(sorted(_MAKERS))
    made, valid = _MAKERS[kind](random)
    return Case(kind, made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass"), valid)


def kinds() -> tuple[str, ...]:
    """The names of the ways."""
    return tuple(_MAKERS)


Made = tuple[str | bytes, bool | None]


def _valid_experiment(random: Random) -> Made:
    return as_yaml(experiment_data(random), random), True


def _valid_study(random: Random) -> Made:
    return as_yaml(study_data(random), random), True


def _data(random: Random) -> Data:
    return experiment_data(random) if random.random() < 0.6 else study_data(random)


def _mapping(data: Data, random: Random) -> Data:
    """One of the mappings in the data, the outermost one most often."""
    inner = [value for value in data.values() if isinstance(value, dict) and value]
    return random.choice(inner) if inner and random.random() < 0.5 else data


def _misspelt(random: Random) -> Made:
    data = _data(random)
    key = random.choice(sorted(data))
    place = random.randrange(len(key) + 1)
    wrong = random.choice(
        (key[:place] + "x" + key[place:], key[:place] + key[place + 1 :], key.upper(), key.replace("_", "-"))
    )
    data[wrong] = data.pop(key)
    return as_yaml(data, random), None if wrong == key else False


def _wrong_type(random: Random) -> Made:
    data = _data(random)
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
    return as_yaml({**_data(random), random.choice(_LATER): random.choice((1, {}, {"a": 1}, [1]))}, random), False


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


# From here on: texts that are wrong as YAML, or nearly.


def _text(random: Random) -> str:
    return as_yaml(_data(random), random)


def _lines(random: Random) -> list[str]:
    """A block style text: what a person writes."""
    return as_yaml({**experiment_data(random), "decoder": {"max_new_tokens": 8}, "n": 4}, _Blocks()).splitlines()


class _Blocks(Random):
    """Draws the style of files that people write."""

    def random(self) -> float:
        return 0.4

    def choice(self, seq: Any) -> Any:
        return seq[1]


def _nesting(random: Random) -> Made:
    lines = _lines(random)
    place = random.randrange(len(lines))
    lines[place] = random.choice(
        (" " * random.randint(1, 7) + lines[place], lines[place].lstrip(), lines[place].replace(":", "", 1))
    )
    return "\n".join(lines), None


def _duplicate(random: Random) -> Made:
    lines = [line for line in _lines(random) if not line.startswith((" ", "-"))]
    key = random.choice([line.partition(":")[0] for line in lines if line.endswith(tuple("0123456789"))])
    return "\n".join([*_lines(random), f"{key}: 1", f"{key}: 2"]), False


def _alias_bomb(random: Random) -> Made:
    width, depth = random.choice(((10, 9), (2, 40), (600, 3)))
    if random.random() < 0.5:
        lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * width)}]" for i in range(depth)]
    else:
        lines = [
            f"a{i}: &a{i} {{{', '.join(f'k{j}: ' + (f'*a{i - 1}' if i else 'x') for j in range(width))}}}"
            for i in range(depth)
        ]
    return "\n".join(["model: m", *lines]), False


def _merge(random: Random) -> Made:
    wrong = (
        "<<: 5",
        "<<: [5]",
        "<<: *nothing",
        "<<: {n: 0}",
        "<<: {nn: 1}",
        "<<: [{n: 1}, {n: 2}]",
        "<<:",
        "? <<\n: {n: 1}",
    )
    return f"model: m\n{random.choice(wrong)}\n", None


def _tabs(random: Random) -> Made:
    lines = _lines(random)
    place = random.randrange(len(lines))
    lines[place] = random.choice(
        ("\t" + lines[place].lstrip(), lines[place].replace(": ", ":\t", 1), lines[place] + "\t")
    )
    return "\n".join(lines), None


def _with_characters(random: Random) -> Made:
    text = _text(random)
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(_ODD) * random.choice((1, 1, 50)) + text[place:], None


def _escapes(random: Random) -> Made:
    odd = random.choice(('"\\e[31mred"', '"a\\nb"', '"\\0"', '"\\uD800"', '"\\U0010FFFF"', '"\\x1b]0;t\\a"', '"\\q"'))
    return random.choice((f"model: {odd}\n", f"model: m\n{odd}: 1\n", f"model: m\ndevice: {odd}\n")), None


def _numbers(random: Random) -> Made:
    data = {"model": "m", "window": {"min_seconds": 1}, "n": 1, "warmup": {"cv_target": 0.1}, "random_seed": 1}
    key = random.choice(("min_seconds", "n", "cv_target", "random_seed", "model"))
    text = as_yaml(data, _Blocks())
    return "\n".join(
        f"{line.partition(':')[0]}: {random.choice(_NUMBERS)}" if line.strip().startswith(f"{key}:") else line
        for line in text.splitlines()
    ), None


def _deep(random: Random) -> Made:
    depth = random.choice((20, 65, 900, 50_000))
    opening, closing = random.choice((("[", "]"), ("{a: ", "}")))
    inner = opening * depth + (closing * depth if random.random() < 0.7 else "")
    return random.choice((f"model: {inner}", f"model: m\nnothing_like_this: {inner}", inner)), False


def _deep_blocks(random: Random) -> Made:
    depth = random.choice((65, 1000))
    return "model: m\n" + "\n".join(" " * level + "decoder:" for level in range(depth)), False


def _truncated(random: Random) -> Made:
    data = _text(random).encode()
    return data[: random.randrange(len(data))], None


def _flipped(random: Random) -> Made:
    data = bytearray(_text(random).encode())
    for _ in range(random.choice((1, 1, 1, 10))):
        data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data), None


def _binary(random: Random) -> Made:
    head = random.choice(
        (b"", b"GGUF\x03", b"\x7fELF", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"%PDF-1.5\n")
    )
    return head + random.randbytes(random.choice((1, 64, 4096))), None


def _other_encoding(random: Random) -> Made:
    return ("model: é\n" + _text(random)).encode(random.choice(("utf-16", "utf-32", "latin-1")), "replace"), False


def _too_large(random: Random) -> Made:
    filler = random.choice(("# comment\n", "- 1\n", "a", "\n", "[", "{", "x: 1\n", "'", "&a "))
    return "model: m\n" + filler * (random.choice((4_500_000, 300_000)) // len(filler)), None


def _tags(random: Random) -> Made:
    tag = random.choice(
        ("!!python/object:os.system", "!!python/name:os.system", "!!binary", "!!set", "!x", "!!int", "!!map", "!<>")
    )
    return f"model: m\nn: {tag} {random.choice(('1', '{a: 1}', '[1]', 'x'))}\n", None


def _empty(random: Random) -> Made:
    return random.choice(
        ("", "\n", "   ", "# only a comment\n", "---\n", "---\n...\n", "~\n", "null", "{}", "\ufeff")
    ), False


def _not_a_mapping(random: Random) -> Made:
    return random.choice(
        ("- model: m\n", "model", "5", "[1, 2]", "'model: m'", "- - - a", "true", "| \n model: m")
    ), False


def _documents(random: Random) -> Made:
    return random.choice(("---\n", "")) + f"model: m\n---\n{_text(random)}", False


def _byte_order_mark(random: Random) -> Made:
    return "\ufeff" + as_yaml(experiment_data(random), random), None


def _line_ends(random: Random) -> Made:
    return _text(random).replace("\n", random.choice(("\r\n", "\r"))), True


_MAKERS: Mapping[str, Callable[[Random], Made]] = {
    "valid experiment": _valid_experiment,
    "valid study": _valid_study,
    "line ends": _line_ends,
    "byte order mark": _byte_order_mark,
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
    "bad nesting": _nesting,
    "duplicate key": _duplicate,
    "alias bomb": _alias_bomb,
    "merge key": _merge,
    "tabs": _tabs,
    "odd characters": _with_characters,
    "escapes": _escapes,
    "numbers": _numbers,
    "deep nesting": _deep,
    "deep blocks": _deep_blocks,
    "truncated": _truncated,
    "flipped bytes": _flipped,
    "binary": _binary,
    "other encoding": _other_encoding,
    "too large": _too_large,
    "tags": _tags,
    "empty": _empty,
    "not a mapping": _not_a_mapping,
    "two documents": _documents,
}
