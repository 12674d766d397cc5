"""Does measuring slow down what is measured? The same batches with and without our recording, in turn."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.record import Row, Section, median_interval

_PAIRS = 60
_TOKENS = 24
_CONCURRENCY = 4


def run() -> Section:
    """Both engines, one thread each: a session whose sink keeps nothing against one that records as in a window, beside a meter."""
    rows = tuple(_engine(name) for name in ("llamacpp", "pytorch"))
    return Section(
        "Overhead in the window",
        "python -m benchmarks.run overhead",
        f"SmolLM2-135M, one engine thread, {_CONCURRENCY} requests of {_TOKENS} tokens a batch, {_PAIRS} pairs in alternating order: tokens per second of the session with our recorder and a meter reading the process, over the session with a sink that keeps nothing and no meter.",
        ("engine", "recorded", "bare", "ratio (95 % interval)", "met"),
        rows,
    )


class _Nothing:
    """A sink that keeps nothing but the count of tokens."""

    def __init__(self) -> None:
        self.tokens = 0

    def submitted(self, requests: object) -> int:
        return 0

    def step(self, batch: int) -> None: ...

    def token(self, sequence: int) -> None: ...

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def finished(self, completion: object) -> None:
        self.tokens += len(completion.output_ids)

    def stopping(self) -> bool:
        return False


def _engine(name: str) -> Row:
    from llenergymeasure import plugins
    from llenergymeasure.clock import MonotonicClock
    from llenergymeasure.model.stamps import StampWriter
    from llenergymeasure.worker.recorder import Recorder

    with tempfile.TemporaryDirectory() as folder:
        job, requests = _job(name, Path(folder))
        session = plugins.load("backends", name).open(job)
        ratios, recorded, bare = [], [], []
        try:
            with StampWriter(Path(folder) / "stamps.bin") as stamps:
                recorder = Recorder(MonotonicClock(), stamps, lambda: False)
                for pair in range(_PAIRS + 3):
                    both = {}
                    for with_us in (True, False) if pair % 2 else (False, True):
                        both[with_us] = _rate(
                            session, requests, recorder if with_us else _Nothing(), Path(folder) if with_us else None
                        )
                    if pair >= 3:
                        recorded.append(both[True])
                        bare.append(both[False])
                        ratios.append(both[True] / both[False])
        finally:
            session.close()
    ratio, low, high = median_interval(ratios)
    return Row(
        name,
        f"{median_interval(recorded)[0]:.1f} tokens/s",
        f"{median_interval(bare)[0]:.1f} tokens/s",
        f"{ratio:.4f} ({low:.4f} … {high:.4f})",
        f"{'yes' if low >= 0.985 else 'no'} (lower bound ≥ 0.985)",
    )


def _rate(session, requests, sink, meter_in: Path | None) -> float:
    meter = _meter(meter_in) if meter_in is not None else None
    try:
        if hasattr(sink, "begin"):
            sink.begin(requests)
        begin_s = time.perf_counter()
        session.run(requests, sink)
        session.synchronize()
        seconds = time.perf_counter() - begin_s
    finally:
        if meter is not None:
            meter.terminate()
            meter.wait()
    return sum(request.max_new_tokens for request in requests) / seconds


def _meter(folder: Path):
    """A meter that reads this process as if it were the worker."""
    import subprocess
    import sys

    from llenergymeasure.model.event import Child, EventLog, Metered, read_events
    from llenergymeasure.model.folder import DRIVER_EVENTS, METER_EVENTS

    for name in (METER_EVENTS, "readings.bin"):
        (folder / name).unlink(missing_ok=True)
    log = EventLog.append_to(folder / DRIVER_EVENTS)
    log.write(Child("worker", os.getpid(), time.monotonic_ns()))
    log.close()
    process = subprocess.Popen([sys.executable, "-m", "llenergymeasure.meter", str(folder), str(os.getpid())])
    while not any(isinstance(event, Metered) for event in read_events(folder / METER_EVENTS)):
        time.sleep(0.01)
    return process


def _job(name: str, folder: Path):
    import dataclasses

    from llenergymeasure.config import backend_section
    from llenergymeasure.model.folder import JOB
    from llenergymeasure.model.inputs import pack_ids, write_inputs
    from llenergymeasure.model.job import BackendChoice, Decoder, Metering, job_text
    from llenergymeasure.model.request import Request
    from llenergymeasure.models.resolve import find_model
    from llenergymeasure.study.convert import as_opened
    from llenergymeasure.testing.builders import prepared_inputs, trial_job

    stored = find_model("builtin:smollm2-135m", None, base=Path(), weights="real", say=lambda message, fraction: None)
    model = as_opened(stored, name, "local", lambda message: None)
    inputs = prepared_inputs([24] * _CONCURRENCY)
    write_inputs(folder, inputs.description, pack_ids(inputs.ids))
    threads = "num_threads" if name == "pytorch" else "n_threads"
    options = {threads: 1, backend_section.spec_of(name).concurrency_option: _CONCURRENCY}
    job = trial_job(inputs=str(folder), n=_CONCURRENCY, max_new_tokens=_TOKENS)
    job = dataclasses.replace(
        job,
        backend=BackendChoice(name, options),
        model=model,
        precision="as_stored" if name == "llamacpp" else "fp32",
        decoder=Decoder(max_new_tokens=_TOKENS),
        metering=Metering(("auto",)),
    )
    (folder / JOB).write_text(job_text(job), encoding="utf-8")
    return job, tuple(Request(row, row, ids, _TOKENS) for row, ids in enumerate(inputs.ids))
