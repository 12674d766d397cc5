"""The hub's downloads tell how far they are through ``Say``, not through bars of their own."""

from __future__ import annotations

from io import StringIO
from typing import Any

from llenergymeasure.models.progress import Say


def progress_to(say: Say, message: str) -> type[Any]:
    """A class for ``snapshot_download(tqdm_class=…)``: bars that count bytes are told with ``message``, none is drawn."""
    from tqdm.auto import tqdm

    class Told(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "file": StringIO()})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            if self.unit == "B" and self.total:
                say(message, min(self.n / self.total, 1.0))

        def clear(self, nolock: bool = False) -> None:
            """Nothing was drawn."""

    return Told
