"""``python -m benchmarks.run [NAME…]``: run benchmarks and write what they give into RESULTS.md."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from benchmarks.record import Section, machine
from llenergymeasure._version import __version__
from llenergymeasure.clock import utc_now

RESULTS = Path(__file__).with_name("RESULTS.md")
ALL = (
    "startup",
    "fixed_cost",
    "study_overhead",
    "overhead",
    "first_result",
    "expansion",
    "fuzz_config",
    "coverage",
    "accuracy",
    "meter",
    "peers",
    "faults",
    "device_time",
    "memory_forecast",
    "kills",
)
_HEAD = "# Results of the benchmarks\n\nWritten by `make bench`. Ratios and differences are from one run on one machine; a bare time says little about another.\n"


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; each is written when it is done, and what is not run again stays as it was."""
    for name in names or ALL:
        print(f"running {name}", file=sys.stderr, flush=True)
        record(importlib.import_module(f"benchmarks.{name}").run())
    return 0


def record(section: Section) -> None:
    """Print a section and put it in its place among those that are in the file now."""
    made = f"Measured on {utc_now():%Y-%m-%d}, {machine()}, llem {__version__}."
    text = section.markdown() + f"\n{made}\n"
    print(text)
    sections = {**_sections(), section.title: text}
    RESULTS.write_text(_HEAD + "\n" + "\n".join(sections.values()), encoding="utf-8")


def _sections() -> dict[str, str]:
    """The sections in the file by title, each ending in one line end."""
    if not RESULTS.exists():
        return {}
    parts = re.split(r"^(?=## )", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
