"""The intervals of one trial's energy per token and mean power: what its meters are worth, and how well it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from llenergymeasure.analyse.energy.drift import Warming, drift_term, thermal_term, warming
from llenergymeasure.analyse.energy.headline import TrialEnergy
from llenergymeasure.analyse.energy.slices import Slices, slices_of
from llenergymeasure.analyse.energy.uncertainty import Term, absolute, repeatability
from llenergymeasure.analyse.statistics import Slice, ratio_of
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.trace import Trace
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.uncertainty import BudgetLine

_UNOBSERVED = "the backend does not observe every token"


@dataclass(frozen=True, slots=True)
class WithinRun:
    """``slices`` of the window, or ``reason`` for none; ``terms`` of its energy as a sample of the work, slices left out.

    ``tokens_seen``: every output token has a stamp, so that slices have tokens of their own.
    """

    slices: Slices | None
    reason: str
    terms: tuple[Term, ...]
    tokens_seen: bool
    warming: dict[str, Warming] = field(default_factory=dict)

    def per_token(self, quantity: Quantity) -> tuple[Quantity, tuple[Term, ...]]:
        """Energy per output token with its intervals, and their terms."""
        if self.slices is None or not self.tokens_seen:
            return self._with(quantity, None, self.reason or _UNOBSERVED)
        return self._with(quantity, self.slices.tokens, self.reason)

    def per_second(self, quantity: Quantity) -> Quantity:
        """Mean power with its intervals."""
        seconds = None if self.slices is None else self.slices.seconds
        return self._with(quantity, seconds, self.reason)[0]

    def _with(self, quantity: Quantity, by: Slice | None, reason: str) -> tuple[Quantity, tuple[Term, ...]]:
        if quantity.value is None or quantity.estimated:
            return quantity, ()
        spread = None if self.slices is None or by is None else ratio_of(self.slices.energy_j, by)
        if spread is None:
            # The sensor alone: how well the work repeats itself is not known.
            change = {
                "repeatability_95": None,
                "absolute_95": absolute(quantity.value, self.terms),
                "interval_reason": reason or "slices without tokens have no ratio",
                "n": None,
            }
            return quantity.model_copy(update=change), self.terms
        assert self.slices is not None
        own = Term("s_slices", spread.error / spread.value, "A", spread.degrees_of_freedom)
        terms = (*self.terms, own)
        found = quantity.model_copy(
            update={
                "repeatability_95": repeatability(quantity.value, terms),
                "absolute_95": absolute(quantity.value, terms),
                "interval_reason": "single run: the spread of slices of one window",
                "n": len(self.slices.energy_j),
            }
        )
        return found, terms


def within_run(trace: Trace, window: Interval, energy: TrialEnergy) -> WithinRun:
    """The slices of a trial's window and what they and its temperatures say."""
    if energy.total_j.value is None or energy.total_j.estimated:
        return WithinRun(None, "no energy was metered", (), False)
    stamps = np.concatenate([np.zeros(0, np.int64), *(np.asarray(one.token_t_ns, np.int64) for one in trace.requests)])
    seen = 0 < len(stamps) == sum(len(request.output_ids) for request in trace.requests)
    found = slices_of(trace.readout, energy.channels, window, stamps if seen else np.zeros(0, np.int64))
    slices, reason = (None, found) if isinstance(found, str) else (found, "")
    warm = warming(trace.readout, window)
    more = (thermal_term(warm), drift_term(slices, window) if slices is not None and _unsteady(trace) else None)
    terms = (*energy.terms, *(term for term in more if term is not None))
    return WithinRun(slices, reason, terms, seen, warm)


def _unsteady(trace: Trace) -> bool:
    """Whether the window began before the work was seen to be steady."""
    return trace.head.warmup.steady is not True and not trace.head.job.cold_start


def budget(
    energy: TrialEnergy, terms: Sequence[Term], per_token: Quantity, idle: Term | None
) -> tuple[BudgetLine, ...]:
    """The lines of energy per output token, and of net energy: those of the window's energy and of idle power."""
    names = {term.name for term in energy.terms if not term.shared}
    lines = [_line(term, per_token, net=idle is not None and term.name in names) for term in terms]
    return tuple(lines) if idle is None else (*lines, _line(idle, None, net=True))


def _line(term: Term, quantity: Quantity | None, *, net: bool) -> BudgetLine:
    repeats = quantity is not None and quantity.repeatability_95 is not None and not term.shared
    part_of = {"repeatability": repeats, "absolute": quantity is not None, "net": net}
    return BudgetLine.model_validate(
        {
            "term": term.name,
            "relative": term.relative,
            "kind": term.kind,
            "degrees_of_freedom": term.degrees_of_freedom,
            "intervals": tuple(name for name, holds in part_of.items() if holds),
        }
    )
