"""A beat for screens: so that nothing is silent while a library that cannot be asked does its work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beating(beat: Callable[[], None], every_s: float = 0.5) -> Iterator[None]:
    """Call ``beat`` from a thread of its own until the block ends. It stops before the block is left."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            beat()

    thread = threading.Thread(target=run, name="llem-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
