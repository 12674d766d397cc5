"""``python -m benchmarks.run [NAME…]``: run benchmarks and write what they give into RESULTS.md."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from benchmarks.record import machine
from llenergymeasure._version import __version__
from llenergymeasure.clock import utc_now

RESULTS = Path(__file__).with_name("RESULTS.md")
ALL = ("startup", "fixed_cost", "overhead", "first_result", "fuzz_config")
_HEAD = "# Results of the benchmarks\n\nWritten by `make bench`. Ratios and differences are from one run on one machine; a bare time says little about another.\n"


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; a section that is not run again stays as it was."""
    sections = _sections()
    for name in names or ALL:
        print(f"running {name}", file=sys.stderr, flush=True)
        section = importlib.import_module(f"benchmarks.{name}").run()
        made = f"Measured on {utc_now():%Y-%m-%d}, {machine()}, llem {__version__}."
        sections[section.title] = section.markdown() + f"\n{made}\n"
        print(sections[section.title])
    RESULTS.write_text(_HEAD + "\n" + "\n".join(sections[title] for title in sections), encoding="utf-8")
    return 0


def _sections() -> dict[str, str]:
    if not RESULTS.exists():
        return {}
    parts = re.split(r"^(?=## )", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].removeprefix("## "): part for part in parts}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
