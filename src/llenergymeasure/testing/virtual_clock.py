"""A clock that moves only when it is slept on: minutes pass in milliseconds, and always the same."""

from __future__ import annotations

from llenergymeasure.units import NS_PER_S, s_to_ns


class VirtualClock:
    """A ``Clock`` for one thread, beginning at ``start_ns`` of monotonic time."""

    def __init__(self, start_ns: int = 1000 * NS_PER_S) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += s_to_ns(seconds)
