"""Configurations that are wrong as YAML, or nearly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from llenergymeasure.testing.broken_data import Made, either
from llenergymeasure.testing.config_texts import as_yaml, experiment_data

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


def _text(random: Random) -> str:
    return as_yaml(either(random), random)


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


MAKERS: Mapping[str, Callable[[Random], Made]] = {
    "line ends": _line_ends,
    "byte order mark": _byte_order_mark,
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
