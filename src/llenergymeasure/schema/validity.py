"""Machine-readable remarks on a result: what limits it, how badly, the evidence, and what would help."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.schema.quantity import Record

Severity = Literal["info", "warning", "error"]

# Every code, its severity, and what would help.
CODES: dict[str, tuple[Severity, str]] = {
    "clock_offset": ("error", "run worker and meter on one machine, or in one time namespace"),
    "counter_reset": ("error", "run again; do not reload the driver during a trial"),
    "estimated_energy": ("info", "measure on a machine with a readable energy counter for joules that were metered"),
    "inputs_truncated": ("info", "raise max_input_tokens, or lower decoder.max_new_tokens"),
    "no_steady_state": ("warning", "raise warmup.max_seconds, or close other programs"),
    "on_battery": ("warning", "plug the machine in; power saving changes clocks"),
    "partial_pass": ("warning", "raise window.max_seconds"),
    "persistence_mode_off": ("warning", "nvidia-smi -pm 1; without it the driver may reload between trials"),
    "physics": ("error", "report this with the trial's folder"),
    "preliminary": ("info", "run without --quick"),
    "sampling_gap": ("warning", "close other programs; a meter that cannot run loses readings"),
    "short_window": ("warning", "raise window.min_seconds, or n"),
    "simulated": ("warning", "nothing here was measured"),
    "suspended": ("error", "run again with sleep disabled"),
    "token_count_mismatch": ("error", "report this with the trial's folder"),
}


class Remark(Record):
    """One code with its evidence."""

    code: str
    severity: Severity
    evidence: str
    remedy: str


class Validity(Record):
    """All remarks. ``valid`` is false when one is an error: the result is kept and left out of rankings."""

    valid: bool
    remarks: tuple[Remark, ...] = ()


def remark(code: str, evidence: str) -> Remark:
    """The remark of a known code."""
    severity, remedy = CODES[code]
    return Remark(code=code, severity=severity, evidence=evidence, remedy=remedy)
