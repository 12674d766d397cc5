"""Ten thousand configurations made at random, whole and broken: taken, or refused with a message that helps.

``python -m benchmarks.fuzz_config [CASES]`` prints and exits with 1 when one of them got anything else.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.record import Row, Section
from llenergymeasure.cli.main import EXIT_USAGE
from llenergymeasure.cli.main import main as llem
from llenergymeasure.errors import ConfigError
from llenergymeasure.testing.broken_texts import Case, case, kinds
from llenergymeasure.testing.refusals import has_line, read_as_llem, shortcomings

_CASES = 10_000
# Every so many cases the refused ones go through ``llem run FILE`` as well.
_COMMAND_EVERY = 20
_MOST_SECONDS, _MOST_MIB = 5.0, 300.0


@dataclass
class Tally:
    """What became of the cases."""

    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    no_line: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    commands: int = 0
    wrong: list[str] = field(default_factory=list)
    grown_mib: float = 0.0


def fuzz(cases: int) -> Tally:
    """Every kind in turn, from a fixed seed."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="llem-fuzz-") as name:
        os.environ["XDG_CONFIG_HOME"] = name
        path = Path(name) / "study.yaml"
        _one(case(Random(0), "valid study"), path, Tally())  # what is imported once is no growth
        before = _peak_mib()
        for seed in range(cases):
            made = case(Random(seed), kinds()[seed % len(kinds())])
            refused = _one(made, path, tally)
            if refused and seed % _COMMAND_EVERY == 0:
                _command(made, path, tally)
        tally.grown_mib = _peak_mib() - before
    return tally


def _one(made: Case, path: Path, tally: Tally) -> bool:
    """Whether it was refused."""
    path.write_bytes(made.content)
    begin = time.process_time()
    refusal = None
    try:
        read_as_llem(path)
    except ConfigError as error:
        refusal = error
    except BaseException:
        tally.wrong.append(f"{made.kind}: {traceback.format_exc(limit=-3)}\n{made.content[:500]!r}")
    seconds = time.process_time() - begin
    tally.slowest[made.kind] = max(tally.slowest.get(made.kind, 0.0), seconds)
    if refusal is None:
        tally.taken[made.kind] += 1
    else:
        tally.refused[made.kind] += 1
        tally.no_line[made.kind] += not has_line(refusal, str(path))
        tally.wrong += [
            f"{made.kind}: {lacks}" for lacks in shortcomings(str(refusal), refusal.hint, str(path), made.content)
        ]
    if made.valid is not None and made.valid != (refusal is None):
        tally.wrong.append(f"{made.kind}: {'refused' if refusal else 'taken'}: {made.content[:500]!r}")
    return refusal is not None


def _command(made: Case, path: Path, tally: Tally) -> None:
    """``llem run FILE`` in this process: exit status 2 and one error on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = llem(["run", str(path)])
    tally.commands += 1
    if status != EXIT_USAGE or out.getvalue() or not err.getvalue().startswith(f"Error: {path}"):
        tally.wrong.append(f"{made.kind}: llem run: exit status {status}: {err.getvalue()[:500]}")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(cases: int = _CASES) -> Section:
    """As a page: one row a kind, and one for all."""
    tally = fuzz(cases)
    rows = [
        Row(
            kind,
            str(tally.taken[kind]),
            str(tally.refused[kind]),
            f"{tally.no_line[kind]}",
            f"{1e3 * tally.slowest.get(kind, 0):.0f} ms",
        )
        for kind in kinds()
    ]
    slowest = max(tally.slowest.values())
    met = not tally.wrong and slowest <= _MOST_SECONDS and tally.grown_mib <= _MOST_MIB
    taken, refused, no_line = (sum(counts.values()) for counts in (tally.taken, tally.refused, tally.no_line))
    rows.append(Row("**all**", str(taken), str(refused), str(no_line), f"{1e3 * slowest:.0f} ms"))
    method = (
        f"{cases:,} files from a fixed seed, each read as `llem run FILE` reads it; {tally.commands} of those refused went through "
        f"the command itself. Anything but a valid configuration or a message with file, line and suggestion counts as wrong: "
        f"{len(tally.wrong)}. Peak memory grew by {tally.grown_mib:.0f} MiB (≤ {_MOST_MIB:.0f}), the slowest file took "
        f"{slowest:.2f} s of CPU (≤ {_MOST_SECONDS:.0f}). Met: {'yes' if met else 'no'}. Messages without a line are about empty or "
        "enormous files and keys that are not there."
    )
    for wrong in tally.wrong[:20]:
        print(wrong, file=sys.stderr)
    headings = ("kind of file", "taken", "refused", "messages without a line", "slowest")
    return Section("Configurations at random", "python -m benchmarks.run fuzz_config", method, headings, tuple(rows))


if __name__ == "__main__":
    section = run(*map(int, sys.argv[1:2]))
    print(section.markdown())
    raise SystemExit("Met: yes" not in section.method)
