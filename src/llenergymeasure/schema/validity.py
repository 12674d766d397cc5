"""Machine-readable remarks on a result: what limits it, how badly, the evidence, and what would help."""

from __future__ import annotations

from typing import Literal

from llenergymeasure.schema.quantity import Record

Severity = Literal["info", "warning", "error"]

# Every code, its severity, and what would help.
CODES: dict[str, tuple[Severity, str]] = {
    "clocks_not_held": ("warning", "choose clocks that the board can hold at this load and under its power limit"),
    "clock_offset": ("error", "run worker and meter on one machine, or in one time namespace"),
    "contention": ("warning", "stop what else runs on the devices, or measure when nobody else does"),
    "counter_reset": ("error", "run again; do not reload the driver during a trial"),
    "estimated_energy": ("info", "measure on a machine with a readable energy counter for joules that were metered"),
    "inputs_truncated": ("info", "raise max_input_tokens, or lower decoder.max_new_tokens"),
    "mig_or_vgpu": ("warning", "measure on a whole board: nvidia-smi -mig 0; energy is metered for whole boards only"),
    "no_steady_state": ("warning", "raise warmup.max_seconds, or close other programs"),
    "on_battery": ("warning", "plug the machine in; power saving changes clocks"),
    "partial_pass": ("warning", "raise window.max_seconds"),
    "persistence_mode_off": ("warning", "nvidia-smi -pm 1; without it the driver may reload between trials"),
    "physics": ("error", "report this with the trial's folder"),
    "power_capped": (
        "info",
        "nothing: a board at its power limit works as it was set; compare only under equal limits",
    ),
    "power_limit_changed": ("warning", "let nothing else set power limits during a trial"),
    "power_not_restored": ("warning", "nvidia-smi -pl <watts>, nvidia-smi -rgc, nvidia-smi -rmc"),
    "preliminary": ("info", "run without --quick"),
    "sampling_alias": (
        "warning",
        "measure for longer, vary prompts and lengths, or characterise the sensor: it may not look all the time",
    ),
    "sampling_gap": ("warning", "close other programs; a meter that cannot run loses readings"),
    "short_window": ("warning", "raise window.min_seconds, or n"),
    "simulated": ("warning", "nothing here was measured"),
    "source_broken": ("warning", "tell the author of the plug-in; what it said wrongly was not counted"),
    "source_disagreement": ("warning", "calibrate both: llem config --calibrate"),
    "suspended": ("error", "run again with sleep disabled"),
    "thermal_drift": ("warning", "warm up for longer: raise warmup.max_seconds"),
    "throttled": ("warning", "let the board cool, or see to its cooling and power supply"),
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
