"""``30m``, ``1h30m``, ``90``: lengths of time as people type them."""

from __future__ import annotations

import re

import click

_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PIECE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([dhms])")


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, from a number or from numbers with the units d, h, m and s, the largest first."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The value in seconds."""
        text = str(value).strip().lower().replace(" ", "")
        try:
            return float(text)
        except ValueError:
            pieces = _PIECE.findall(text)
        units = [unit for _, unit in pieces]
        if not pieces or "".join(map("".join, pieces)) != text or units != sorted(set(units), key=list(_UNITS_S).index):
            self.fail(f"{value!r} is not a length of time; write 90 (seconds), 30m, 2h or 1h30m", param, ctx)
        return sum(float(number) * _UNITS_S[unit] for number, unit in pieces)
