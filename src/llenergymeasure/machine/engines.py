"""Which engines are here: each backend asked by a probe job in the environment where it would run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llenergymeasure.config.settings import Place
from llenergymeasure.errors import LLEMError
from llenergymeasure.model.event import Found, Missing
from llenergymeasure.model.job import ProbeJob
from llenergymeasure.runners.job import run_job
from llenergymeasure.runners.resolve import runner_at

# Importing an engine for the first time after an installation compiles its Python files.
_TIMEOUT_S = 180.0


def probe(backend: str, at: str) -> Found | Missing:
    """What a backend says of itself where it would run."""
    try:
        runner = runner_at(at)
        problems = runner.check()
        if problems:
            return Missing(backend, "; ".join(problems), "correct the runner of this backend in the user configuration")
        with tempfile.TemporaryDirectory(prefix="llem-probe-") as folder:
            events = run_job(runner, ProbeJob(backend), Path(folder), timeout_s=_TIMEOUT_S)
    except LLEMError as error:
        return Missing(backend, str(error), error.hint)
    return next(
        (event for event in events if isinstance(event, Found | Missing)),
        Missing(backend, "the probe said nothing", "run it again"),
    )


def probe_all(places: Iterable[Place]) -> dict[Place, Found | Missing]:
    """The answers of several places, in the order given; as many are asked at a time as there are CPUs."""
    asked = tuple(dict.fromkeys(places))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(asked, pool.map(lambda place: probe(place.backend, place.at), asked), strict=True))
