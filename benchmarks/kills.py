"""Two hundred real SIGKILLs: is anything lost, repeated or left behind?"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.record import Row, Section
from llenergymeasure.testing.kills import kill_and_resume

_ROUNDS, _KILLS = 10, 20


def run() -> Section:
    """Ten studies, twenty kills each; every row is a role."""
    kills: Counter[str] = Counter()
    wrong: list[str] = []
    starts = trials = 0
    for seed in range(_ROUNDS):
        with tempfile.TemporaryDirectory(prefix="llem-kills-") as folder:
            killed = kill_and_resume(Path(folder), _KILLS, seed)
        kills += killed.kills
        wrong += killed.wrong
        starts, trials = starts + killed.starts, trials + killed.trials
    rows = tuple(Row(role, str(count), "", "", "") for role, count in sorted(kills.items()))
    method = (
        f"{_ROUNDS} studies of the simulated engine, {trials} trials, {sum(kills.values())} SIGKILLs at random instants at whichever "
        f"process was alive, {starts} starts. Wrong: {len(wrong)} (a trial that is missing, repeated or touched after it had finished, a "
        f"token count that differs, a process left behind). Met: {'yes' if not wrong else 'no'}."
    )
    for line in wrong:
        print(line)
    return Section("Kills", "python -m benchmarks.run kills", method, ("killed", "times", "", "", ""), rows)
