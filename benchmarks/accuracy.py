"""How near to the truth is the energy of a window? Virtual boards with known truth, read by our source when our meter reads."""

from __future__ import annotations

from benchmarks.record import Row, Section
from llenergymeasure.testing.accuracy import WINDOWS_S, Accuracy, Case, Demand, accuracy_of, cases, demand_of, met

_WINDOWS = 200
_SEED = 20261125
_NAMES = {"counter": "counter", "power_instant": "instant power", "power_mean": "mean power"}


def run(windows: int = _WINDOWS) -> Section:
    """Every meter of every preset, at every length of window."""
    rows = []
    for case in cases():
        cells = [_cell(case, length_s, accuracy_of(case, length_s, windows, _SEED)) for length_s in WINDOWS_S]
        rows.append(Row(_name(case), *cells))
    return Section(
        "Accuracy on virtual boards",
        "python -m benchmarks.run accuracy",
        f"{windows} random phases a cell; idle, 2 s of warm-up, the window, quiet; gain 1, noise 0.5 W, jitter of ticks 1 ms, decoding in steps of 10–50 ms with ±20 % of power, read by our meter's loop. A cell: bias and 95th percentile of the error in %, ±: median half-width of the interval for repeatability, c: how often it holds the truth; then the demand, of which coverage of 93.5 % is always a part. The presets are assumptions, not boards that were measured.",
        ("board, meter", *(f"{length_s:g} s" for length_s in WINDOWS_S)),
        tuple(rows),
    )


def _name(case: Case) -> str:
    board = case.preset.name.removeprefix("NVIDIA ")
    extra = f", {1000 * case.lag_s:.0f} ms late" if case.lag_s else ""
    extra += ", step = tick" if case.load == "locked" else ""
    extra += "" if case.warm_up else ", idle before"
    extra += "" if case.characterised else ", not characterised"
    extra += ", plain reads" if case.plain else ""
    return f"{board}, {_NAMES[case.kind]}, sees {1000 * case.window_s:g} ms each {1000 * case.tick_s:g}{extra}"


def _cell(case: Case, length_s: float, found: Accuracy) -> str:
    demand = demand_of(case, length_s)
    verdict = {True: "met", False: "**not met**", None: "no demand"}[met(case, length_s, found)]
    wish = "" if demand is None else f" ({_wish(demand)})"
    if found.refused == found.windows:
        return f"refused: {verdict}{wish}"
    some = f", {found.refused} refused" if found.refused else ""
    return f"{found.bias:+.3f} / {found.p95:.3f}, ±{found.stated:.3f}, c {found.covered:.1%}{some}: {verdict}{wish}"


def _wish(demand: Demand) -> str:
    if demand.refuse:
        return "refuse"
    if demand.bias is None:
        return "within" if demand.p95 is None else f"within, p95 {demand.p95:g}"
    return f"{demand.bias:g} / {demand.p95:g}"
