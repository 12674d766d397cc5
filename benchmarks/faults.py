"""Every fault of the virtual boards: is it told, refused, or within the interval?"""

from __future__ import annotations

from benchmarks.record import Row, Section
from llenergymeasure.testing.fault_trials import FAULTS, Tried, tried

# What every run on a virtual board says anyway.
_USUAL = frozenset({"simulated"})


def run() -> Section:
    usual = frozenset(tried().codes) | _USUAL
    rows = tuple(_row(name, tried(fault), usual) for name, fault in FAULTS.items())
    silent = sum(row.met == "no" for row in rows)
    return Section(
        title="Faults",
        command="python -m benchmarks.run faults",
        method=(
            "A window of 16 s on a virtual H100, through our source, meter and analysis; in its middle something goes wrong. Met where there is "
            "no energy and the reason stands there, where the result is not valid and says why, or where the 95 % interval of everything holds the "
            f"truth. Energies of 0 J: none; wrong and silent: {silent}."
        ),
        headings=("fault", "energy", "truth", "what is said", "met"),
        rows=rows,
    )


def _row(name: str, found: Tried, usual: frozenset[str]) -> Row:
    total_j = found.result.energy_total_j
    said = [code for code in found.codes if code not in usual]
    if total_j.value is None:
        energy, met = "missing", "yes (refused)" if total_j.reason else "no"
        said = said or [str(total_j.reason)]
    else:
        bounds = total_j.absolute_95
        half = f" ± {(bounds.high - bounds.low) / 2:.0f}" if bounds else ""
        energy = f"{total_j.value:.0f}{half} J"
        met = (
            "yes (holds)"
            if found.holds
            else "no"
            if found.result.validity.valid or total_j.value == 0
            else "yes (invalid)"
        )
    return Row(name, energy, f"{found.true_j:.0f} J", ", ".join(said), met)
