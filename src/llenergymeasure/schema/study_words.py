"""What a study found, in words: the best, what is as good, what the numbers mean, what was skipped and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase

from llenergymeasure.schema.numbers import counted, with_uncertainty, with_unit
from llenergymeasure.schema.quantity import Quantity
from llenergymeasure.schema.study import Aggregate, Differing, PhaseSplit, StudyResult
from llenergymeasure.schema.validity import CODES

_RANKED_BY = {"energy_per_output_token_j": "energy per output token", "tokens_per_second": "tokens per second"}
_VERDICTS = {
    "better": "better in the cycles that both have",
    "equivalent": "within 2 % of it",
    "undecided": "cannot be told apart from it with this many cycles",
}
# Said in its own words.
_SAID = {"estimated_energy"}
# A value longer than this says nothing on a screen.
_SHORT = 40


def finding(study: StudyResult) -> Iterator[str]:
    """What the table above comes to, and how to read it."""
    rows = [aggregate for aggregate in study.aggregates if aggregate.n]
    names = _names(study.aggregates)
    yield from _key(study, rows)
    if study.best is None:
        yield "No experiment could be ranked: none has a valid result."
        return
    if len(rows) > 1:
        yield from _order(study, study.best, rows, names)
    if study.ranked_by == "tokens_per_second":
        reasons = {row.energy_per_output_token_j.reason for row in rows} - {None}
        yield f"Energy was not ranked: {'; '.join(sorted(map(str, reasons))) or 'not all of one kind'}"
    if any(row.energy_per_output_token_j.estimated for row in rows):
        yield "Joules are estimated from CPU load within the bounds shown, not metered: they compare on this machine only."
        if study.ranked_by == "energy_per_output_token_j" and any(row.verdict for row in rows):
            yield "  verdicts say what repeats here by the same model, not what a meter would show"
    yield from _phases(study, names)
    yield from _wider_than_asked(study, rows, names)
    yield from _caveats(study, names)


def rest(study: StudyResult) -> Iterator[str]:
    """What was skipped, failed, merged and not run, each with its reason."""
    for point in study.skipped:
        yield f"Skipped  {point.label}: {point.reason}"
    for trial in study.failed:
        yield f"Failed   {trial.label}: {trial.kind}: {trial.message}"
        if trial.hint:
            yield f"         {trial.hint}"
    if study.merged:
        yield f"Merged   {counted(study.merged, 'equal point')}"
    not_run = study.planned - study.ran - len(study.failed)
    if not_run > 0:
        yield f"Not run  {not_run} of {counted(study.planned, 'trial')}"


def flag_letters(study: StudyResult) -> dict[str, str]:
    """A letter for each remark that some experiments have and others have not."""
    rows = [aggregate for aggregate in study.aggregates if aggregate.n]
    shared = set(rows[0].remarks).intersection(*(row.remarks for row in rows)) if rows else set()
    codes = sorted({code for row in rows for code in row.remarks} - shared - _SAID)
    return dict(zip(codes, ascii_lowercase, strict=False))


def _key(study: StudyResult, rows: Sequence[Aggregate]) -> Iterator[str]:
    """What marks, letters and ± stand for."""
    letters = flag_letters(study)
    everywhere = sorted({code for row in rows for code in row.remarks} - set(letters) - _SAID)
    if len(rows) > 1:
        yield "★ best, * best of its column"
    shown = [q for row in rows for q in (row.energy_per_output_token_j, row.tokens_per_second) if q.repeatability_95]
    if shown:
        yield "; ".join(dict.fromkeys(_meaning(row.n) for row in rows if _has_interval(row)))
    if letters:
        yield f"Flags: {', '.join(f'{letter} {code}' for code, letter in letters.items())}"
    if everywhere:
        yield f"Notes: {', '.join(everywhere)}"
    for code in sorted({*letters, *everywhere}):
        severity, remedy = CODES.get(code, ("info", ""))
        if severity != "info":
            yield f"  {code}: {remedy}"


def _has_interval(row: Aggregate) -> bool:
    return any(q.repeatability_95 is not None for q in (row.energy_per_output_token_j, row.tokens_per_second))


def _meaning(n: int) -> str:
    if n == 1:
        return "± of n = 1: 95 % interval within the run"
    return "± of n = 2: their range" if n == 2 else "±: 95 % interval over cycles"


def _names(aggregates: Sequence[Aggregate]) -> dict[str, str]:
    """Labels by label, shortened by the parts that all of them share."""
    parts = {aggregate.label: aggregate.label.split(" / ") for aggregate in aggregates}
    columns = list(zip(*parts.values(), strict=False))
    if len(parts) < 2 or any(len(found) != len(columns) for found in parts.values()):
        return {label: label for label in parts}
    varies = [len(set(column)) > 1 for column in columns]
    return {
        label: " / ".join(part for part, shown in zip(found, varies, strict=True) if shown)
        for label, found in parts.items()
    }


def _order(study: StudyResult, best: Aggregate, rows: Sequence[Aggregate], names: Mapping[str, str]) -> Iterator[str]:
    yield f"Best by {_RANKED_BY[str(study.ranked_by)]}: {best.label}  ({_headline(best, study.ranked_by)})"
    for verdict, words in _VERDICTS.items():
        same = [names[row.label] for row in rows if row.verdict == verdict]
        if same:
            yield f"  {words}: {'; '.join(same)}"
    uncompared = [row for row in rows if not row.best and row.verdict is None]
    for reason in dict.fromkeys(row.verdict_reason for row in uncompared):
        labels = [names[row.label] for row in uncompared if row.verdict_reason == reason]
        yield f"  not compared, {reason}: {'all' if len(labels) == len(rows) - 1 else '; '.join(labels)}"
    unpaired = [names[row.label] for row in rows if row.comparison_method == "unpaired"]
    if unpaired:
        yield f"  compared by their means, not in pairs of a cycle: {'; '.join(unpaired)}"


def _headline(best: Aggregate, ranked_by: str | None) -> str:
    if ranked_by == "energy_per_output_token_j":
        return with_unit(best.energy_per_output_token_j.value, "J/token")
    return with_unit(best.tokens_per_second.value, "tokens/s")


def _phases(study: StudyResult, names: Mapping[str, str]) -> Iterator[str]:
    """Where the joules of a request went, of each pair that tells; why the others do not tell, each reason once."""
    unresolved: dict[str | None, list[str]] = {}
    for split in study.phases:
        name = names[study.aggregates[split.whole].label]
        if split.decode_j_per_request.value is None:
            reason = split.decode_j_per_request.reason
            unresolved.setdefault(reason, []).append(name)
        else:
            yield f"Phases, {name}: {_split(split)}"
    for reason, labels in unresolved.items():
        yield f"Phases, {'; '.join(labels)}: prefill and decode not told apart: {reason}"


def _split(split: PhaseSplit) -> str:
    prefill = with_uncertainty(split.prefill_j_per_request, "J")
    decode = with_uncertainty(split.decode_j_per_request, "J")
    a_token = with_uncertainty(split.decode_j_per_output_token, "J/token")
    estimated = " (estimated: ± by the same model, no meter)" if split.decode_j_per_request.estimated else ""
    return f"prefill {prefill} a request, decode {decode} a request, {a_token}{estimated}"


def _wider_than_asked(study: StudyResult, rows: Sequence[Aggregate], names: Mapping[str, str]) -> Iterator[str]:
    """Whose interval the cycles allowed did not make as narrow as the study asks for."""
    target = study.measurement_protocol.get("target_rel_ci")
    if target is None:
        return
    wide = [names[row.label] for row in rows if not _is_within(_stopped_by(row), float(target))]
    if wide:
        yield f"Wider than the ±{target:.2g} asked for: {'; '.join(wide)}"


def _stopped_by(row: Aggregate) -> Quantity:
    energy = row.energy_per_output_token_j
    return row.tokens_per_second if energy.value is None else energy


def _is_within(quantity: Quantity, target: float) -> bool:
    interval = quantity.repeatability_95
    if interval is None or quantity.value is None:
        return False
    return max(interval.high / quantity.value - 1, 1 - interval.low / quantity.value) <= target * (1 + 1e-6)


def _caveats(study: StudyResult, names: Mapping[str, str]) -> Iterator[str]:
    """What differs that was not meant to, once, with the experiments among which it does."""
    places: dict[str, set[int]] = {}
    for entry in study.comparability:
        words = {"with caveats": "Compare with caveats", "not comparable": "Not comparable"}[entry.verdict]
        what = f"{words}, {', '.join(_differing(found) for found in entry.differing)}"
        places.setdefault(what, set()).update(entry.first, entry.second)
    for what, where in places.items():
        labels = [names[study.aggregates[place].label] for place in sorted(where)]
        all_of_them = len(labels) > 2 and len(labels) == len(study.aggregates)
        yield f"{what}: {'all' if all_of_them else '; '.join(labels)}"


def _differing(found: Differing) -> str:
    values = sorted(found.values)
    return f"{found.field} ({' / '.join(values)})" if max(map(len, values)) <= _SHORT else found.field
