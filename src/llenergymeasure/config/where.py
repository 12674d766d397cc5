"""Filters of a study: ``pytorch.batch_size * decoder.max_new_tokens <= 4096``. A small language, read and computed here.

::

    filter     := all ("or" all)*
    all        := claim ("and" claim)*
    claim      := "not" claim | sum (("<" | "<=" | ">" | ">=" | "==" | "!=" | "in" | "not in") sum)*
    sum        := product (("+" | "-") product)*
    product    := factor (("*" | "/" | "//" | "%") factor)*
    factor     := "-" factor | number | 'text' | true | false | field.name | "(" filter ")" | "[" filter, … "]"
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llenergymeasure.config import keys
from llenergymeasure.config.problems import did_you_mean, short
from llenergymeasure.errors import ConfigError

_MOST_CHARACTERS, _MOST_DEPTH = 500, 20

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?(?![\w.]))|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<word>[A-Za-z_]\w*(?:\.\w+)*)|(?P<sign><=|>=|==|!=|//|[-+*/%<>()\[\],]))"
)
_RESERVED = ("and", "or", "not", "in")
_TRUTH = {"true": True, "True": True, "false": False, "False": False}

_ORDERING: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip

# Computes a value from those of the fields, in the order of ``Filter.fields``.
Compute = Callable[[Sequence[Any]], Any]


class FilterError(ConfigError):
    """A filter that makes no sense: as it is written, or for the values of a point. ``index``: which of the study's."""

    def __init__(self, message: str, hint: str = "", index: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.index = index


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that the points of a study's grids must meet; ``fields`` are the dotted keys that it reads."""

    text: str
    fields: tuple[str, ...]
    compute: Compute
    index: int = 0

    def keeps(self, values: Sequence[Any]) -> bool:
        """Whether a point with these values of the fields stays. Raises ``FilterError``."""
        try:
            return _truth(self.compute(values))
        except FilterError as error:
            of = ", ".join(f"{key} {short(value)}" for key, value in zip(self.fields, values, strict=True))
            told = f"{error}, with {of}" if of else str(error)
            raise FilterError(f"filter {short(self.text)}: {told}", error.hint, self.index) from None


def parse_filter(text: str, index: int = 0) -> Filter:
    """The filter in a text, which is the ``index``-th of its study. Raises ``FilterError``."""
    if len(text) > _MOST_CHARACTERS:
        raise FilterError(f"a filter of {len(text):,} characters", f"write several of {_MOST_CHARACTERS} at most")
    parser = _Parser(_tokens(text))
    compute = parser.whole()
    return Filter(text, tuple(parser.fields), compute, index)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:].strip()
            raise FilterError(f"cannot read {short(rest)}", _hint_for(rest))
        assert match.lastgroup is not None
        found.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return found


def _hint_for(rest: str) -> str:
    if rest.startswith("="):
        return "write == to compare"
    if rest.startswith(("&", "|", "!")):
        return "write and, or, not"
    return "fields, numbers, 'text', comparisons, + - * / // %, and, or, not, in"


class _Parser:
    """Recursive descent; what it returns computes the value."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self.fields: list[str] = []

    def whole(self) -> Compute:
        compute = self._filter()
        if self._next < len(self._tokens):
            raise FilterError(f"{self._tokens[self._next][1]!r} is not expected there", "is an operator missing?")
        return compute

    def _filter(self) -> Compute:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise FilterError(f"nested more than {_MOST_DEPTH} levels deep", "write several filters")
        either = [self._all()]
        while self._take("or"):
            either.append(self._all())
        self._depth -= 1
        return either[0] if len(either) == 1 else lambda values: any([_truth(part(values)) for part in either])

    def _all(self) -> Compute:
        every = [self._claim()]
        while self._take("and"):
            every.append(self._claim())
        return every[0] if len(every) == 1 else lambda values: all([_truth(part(values)) for part in every])

    def _claim(self) -> Compute:
        negated = False
        while self._take("not"):
            negated = not negated
        claim = self._comparison()
        return (lambda values: not _truth(claim(values))) if negated else claim

    def _comparison(self) -> Compute:
        terms, signs = [self._sum()], []
        while sign := self._take(*_ORDERING, "==", "!=", "in", "not"):
            if sign == "not" and not self._take("in"):
                raise FilterError("'not' is not expected there", "write: not (a == b), or a not in [b, c]")
            signs.append("not in" if sign == "not" else sign)
            terms.append(self._sum())
        if not signs:
            return terms[0]

        def compare(values: Sequence[Any]) -> bool:
            found = [term(values) for term in terms]
            return all([_compared(sign, found[at], found[at + 1]) for at, sign in enumerate(signs)])

        return compare

    def _sum(self) -> Compute:
        return self._arithmetic(self._product, "+", "-")

    def _product(self) -> Compute:
        return self._arithmetic(self._factor, "*", "//", "/", "%")

    def _arithmetic(self, operand: Callable[[], Compute], *signs: str) -> Compute:
        compute = operand()
        while sign := self._take(*signs):
            compute = _calculation(sign, compute, operand())
        return compute

    def _factor(self) -> Compute:
        minus = 0
        while self._take("-"):
            minus += 1
        value = self._atom()
        return value if not minus else lambda values: _number(value(values)) * (-1) ** minus

    def _atom(self) -> Compute:
        if self._next == len(self._tokens):
            raise FilterError("it ends too early", "compare something: n <= 100")
        kind, text = self._tokens[self._next]
        self._next += 1
        if kind == "number":
            return _always(int(text) if text.isdigit() else float(text))
        if kind == "text":
            return _always(text[1:-1])
        if kind == "word" and text not in _RESERVED:
            return _always(_TRUTH[text]) if text in _TRUTH else self._field(text)
        if text == "(":
            inner = self._filter()
            self._expect(")")
            return inner
        if text == "[":
            return self._list()
        raise FilterError(f"{text!r} is not expected there", "a value is missing before it")

    def _list(self) -> Compute:
        items = [self._filter()]
        while self._take(","):
            items.append(self._filter())
        self._expect("]")
        return lambda values: [item(values) for item in items]

    def _field(self, key: str) -> Compute:
        known = keys.unknown(key)
        if known is not None:
            close = did_you_mean(key, known)
            raise FilterError(
                f"no field is called {key!r}", close if close.startswith("did") else f"text needs quotes: '{key}'"
            )
        if keys.is_section(key):
            raise FilterError(f"{key!r} is a section", f"name one of its fields, {key}.…")
        if key not in self.fields:
            self.fields.append(key)
        place = self.fields.index(key)
        return lambda values: values[place]

    def _take(self, *wanted: str) -> str:
        """The next token if it is one of these, else nothing."""
        if self._next < len(self._tokens):
            kind, text = self._tokens[self._next]
            if kind in ("sign", "word") and text in wanted:
                self._next += 1
                return text
        return ""

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise FilterError(f"{wanted!r} is missing", "close every bracket")


def _always(value: Any) -> Compute:
    return lambda values: value


def _calculation(sign: str, left: Compute, right: Compute) -> Compute:
    calculate = _ARITHMETIC[sign]

    def compute(values: Sequence[Any]) -> Any:
        try:
            return calculate(_number(left(values)), _number(right(values)))
        except ZeroDivisionError:
            raise FilterError("a division by zero", "leave such points out, or turn the comparison round") from None
        except OverflowError:
            raise FilterError("a number too large", "compare smaller ones") from None

    return compute


def _compared(sign: str, left: Any, right: Any) -> bool:
    if sign == "==":
        return bool(left == right)
    if sign == "!=":
        return bool(left != right)
    if sign in ("in", "not in"):
        if not isinstance(right, list):
            raise FilterError(f"{short(right)} is no list", "write: precision in ['fp16', 'bf16']")
        return (left in right) == (sign == "in")
    if isinstance(left, str) and isinstance(right, str):
        return _ORDERING[sign](left, right)
    return _ORDERING[sign](_number(left), _number(right))


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FilterError(f"{short(value)} is not a number", "compare text with ==, != or in")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise FilterError(f"{short(value)} is neither true nor false", "a filter is a comparison: n <= 100")
    return value
