"""How long from the command to the first result on disk, against optimum-benchmark: same model, same tokens."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import optimum
from benchmarks.record import Row, Section, ratio_interval

# One thread: the other tool's process launcher keeps a core of its own busy with waiting. Its inline launcher, which has no
# process of its own for the engine, does not: it stands against our work in pairs.
_SHAPE = optimum.Shape(batch_size=2, input_tokens=16, new_tokens=16, threads=1)
_MATCHED_PAIRS, _ROUNDS = 6, 3
# The same work: two whole batches to warm up (theirs adds one of two tokens, its least), then these.
_MATCHED_BATCHES = 4
_MATCHED_THEIRS = {"warmup_runs": 1, "iterations": _MATCHED_BATCHES, "duration": 0}
_MATCHED_OURS = ("--set", "warmup.strategy=fixed", "--set", "warmup.n_warmup=2", "--set", "window.min_seconds=0")
# Their least number of iterations; as many batches are one of our passes.
_DEFAULT_BATCHES = 10


def run() -> Section:
    """Matched work in pairs, then each tool's own protocol in rounds of three, the order turned each time."""
    venv, model = optimum.environment(), _model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = _Bench(folder, venv, model)
        bench.warm_up()
        matched = [
            bench.round({"theirs": ("inline", _MATCHED_THEIRS), "ours": _MATCHED_OURS}, _MATCHED_BATCHES, turn)
            for turn in range(_MATCHED_PAIRS)
        ]
        kinds = {"theirs": ("process", {}), "quick": ("--quick",), "standard": ()}
        default = [bench.round(kinds, _DEFAULT_BATCHES, turn) for turn in range(_ROUNDS)]
    rows = (
        _row("matched work: time", matched, "ours", 0, "s"),
        _row("their protocol, ours with `--quick`: time", default, "quick", 0, "s"),
        _row("each tool's own protocol: time", default, "standard", 0, "s"),
        _row("matched work: output tokens/s that each reports", matched, "ours", 1, "tokens/s"),
        _row("own protocols: output tokens/s that each reports", default, "standard", 1, "tokens/s"),
    )
    return Section(
        "Time to first result",
        "python -m benchmarks.run first_result",
        _method(optimum.versions(venv)),
        ("what", "llem run", "optimum-benchmark", "ratio (95 % interval)", "who is first"),
        rows,
    )


class _Bench:
    """Runs commands of both tools, each into a folder of its own."""

    def __init__(self, folder: Path, venv: Path, model: Path) -> None:
        self._folder, self._venv, self._model = folder, venv, model
        self._runs = 0

    def warm_up(self) -> None:
        """One discarded run each, so that all files are in memory and all bytecode is compiled."""
        self.round({"theirs": ("inline", _MATCHED_THEIRS), "ours": _MATCHED_OURS}, 1, 0)

    def round(self, kinds: dict, batches: int, turn: int) -> dict[str, tuple[float, float]]:
        """(seconds, tokens/s) of each kind; which one begins turns from round to round."""
        names = list(kinds)
        names = names[turn % len(names) :] + names[: turn % len(names)]
        found = {}
        for name in names:
            self._runs += 1
            folder = self._folder / str(self._runs)
            if name == "theirs":
                found[name] = optimum.timed(self._venv, folder, self._model, _SHAPE, *kinds[name])
            else:
                found[name] = self._ours(folder, batches, kinds[name])
            print(f"  {name}: {found[name][0]:.1f} s, {found[name][1]:.1f} tokens/s", file=sys.stderr, flush=True)
        return found

    def _ours(self, folder: Path, batches: int, flags: Sequence[str]) -> tuple[float, float]:
        folder.mkdir()
        command = [
            sys.executable, "-m", "llenergymeasure", "run", "-m", str(self._model), "-b", "pytorch", "--device", "cpu",
            "--precision", "fp32", "-n", str(batches * _SHAPE.batch_size), "--batch-size", str(_SHAPE.batch_size),
            "--max-new-tokens", str(_SHAPE.new_tokens), "--set", f"pytorch.num_threads={_SHAPE.threads}",
            "--set", f"dataset.synthetic.input_len={_SHAPE.input_tokens}",
            # Other prompts each time: none is prepared already.
            "--set", f"random_seed={self._runs}", "-o", str(folder / "results"), *flags,
        ]  # fmt: skip
        seconds, result = optimum.timed_command(command, folder, "results/*/trials/*/result.json")
        return seconds, json.loads(result.read_text(encoding="utf-8"))["tokens_per_second"]["value"]


def _model() -> Path:
    """The small model as both tools open it: a directory of safetensors, in the user's cache."""
    from llenergymeasure.models.resolve import find_model
    from llenergymeasure.study.convert import as_opened

    stored = find_model("builtin:smollm2-135m", None, base=Path(), weights="real", say=lambda message, fraction: None)
    return Path(as_opened(stored, "pytorch", "local", lambda message: None).path)


def _row(what: str, rounds: Sequence[dict[str, tuple[float, float]]], kind: str, which: int, unit: str) -> Row:
    ours, theirs = ([found[name][which] for found in rounds] for name in (kind, "theirs"))
    ratio, low, high = ratio_interval([a / b for a, b in zip(ours, theirs, strict=True)])
    if unit == "s":
        verdict = "llem" if high < 1 else "optimum-benchmark" if low > 1 else "undecided"
    else:
        verdict = "the interval holds 1" if low <= 1 <= high else "they differ"
    return Row(
        f"{what} (n = {len(rounds)})",
        f"{statistics.median(ours):.1f} {unit}",
        f"{statistics.median(theirs):.1f} {unit}",
        f"{ratio:.2f} ({low:.2f} … {high:.2f})",
        verdict,
    )


def _method(theirs: str) -> str:
    from importlib.metadata import version

    ours = f"transformers {version('transformers')}, torch {version('torch')}"
    shape = _SHAPE
    return (
        f"SmolLM2-135M from one directory of safetensors, fp32, CPU, {shape.threads} engine thread, batches of {shape.batch_size}, "
        f"{shape.input_tokens} tokens in and {shape.new_tokens} out, file cache warm after a discarded run of each. Time is from starting "
        "the command to its exit, which is after the result is on disk. The tools run in turn, another one first each time; columns are "
        "medians, the ratio is ours over theirs: geometric mean over the rounds, interval from Student's t on its logarithm. "
        "Bare times are of a shared machine.\n\n"
        f"- Matched work: two whole batches of warm-up, then {_MATCHED_BATCHES} measured. llem: `warmup.strategy=fixed`, `n_warmup=2`, "
        "`window.min_seconds=0`, one pass. optimum-benchmark: `warmup_runs=1` (two whole generations and one of two tokens), "
        f"`iterations={_MATCHED_BATCHES}`, `duration=0`. In this time llem also prepares its prompts with the tokenizer (new ones each "
        "time) in a process of their own, and meters: energy is in its result (estimated, where there is no sensor). "
        "optimum-benchmark draws random ids, and energy and memory are off, its default.\n"
        f"- Own protocols, {_DEFAULT_BATCHES * shape.batch_size} prompts. llem: steady warm-up (five batches or more, until the last five "
        "agree), then whole passes for at least 10 s; idle power is measured only where a sensor is found (10 s more). With `--quick`: two "
        "warm-up batches, then whole passes for at least 3 s and at most 20 s. optimum-benchmark: two whole generations, ten of two "
        "tokens, then at least ten iterations and at least 10 s.\n"
        f"- Engines: llem with {ours}; optimum-benchmark {optimum.VERSION} with {theirs}, the newest that it works with. "
        "In the matched work it runs under its `inline` launcher, everything in one process (which ends with an error once the report "
        "is written); in its own protocol under `process`, which "
        "isolates the engine as llem always does, and waits for it in a busy loop that takes a core; hence one engine thread.\n"
        "- Tokens per second: llem's own figure (output tokens over the window); theirs from the tracked generations (tokens over their "
        "summed latencies), since the throughput they print leaves out a token and is named samples."
    )
