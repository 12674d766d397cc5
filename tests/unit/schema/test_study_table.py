"""A study's last lines."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llenergymeasure.analyse.study.aggregate import Design, Group, aggregate
from llenergymeasure.schema.performance import LatencyGroup, MemoryGroup, Spread
from llenergymeasure.schema.quantity import Quantity, missing
from llenergymeasure.schema.study import FailedTrial, PhaseSplit, SkippedPoint, StudyResult
from llenergymeasure.schema.study_table import study_lines
from llenergymeasure.schema.table import display_width
from llenergymeasure.testing.builders import experiment_result, joules
from llenergymeasure.testing.studies import study_result

_NOISE = (0.0, 0.004, -0.003, 0.002, -0.004)
_ALL_IN_BLOCKS = Design()


def group(
    label: str, per_token_j: float | None, rate: float, cycles: int = 3, spread: float = 1.0, **varied: Any
) -> Group:
    """Results of some cycles with 0.3 % noise."""
    results = tuple(
        experiment_result(
            per_token_j=per_token_j and per_token_j * math.exp(spread * _NOISE[cycle]),
            rate=rate,
            cycle=cycle,
            **varied.get("changes", {}),
        )
        for cycle in range(cycles)
    )
    return Group(label, {key: value for key, value in varied.items() if key != "changes"}, results)


def study(*groups: Group, design: Design = _ALL_IN_BLOCKS, **changes: Any) -> StudyResult:
    found = aggregate(groups, design)
    ran = sum(len(one.results) for one in groups)
    fields: dict[str, Any] = {
        "planned": ran,
        "ran": ran,
        "ranked_by": found.ranked_by,
        "aggregates": found.aggregates,
        "tiers": found.tiers,
        "comparability": found.comparability,
    }
    return study_result(**fields | changes)


def lines(result: StudyResult, width: int | None = None) -> list[str]:
    return list(study_lines(result, width))


def text(result: StudyResult, width: int | None = None) -> str:
    return "\n".join(lines(result, width))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


# --- the table


def test_a_study_is_shown_as_a_table() -> None:
    """Only what varies has a column, by its last word; the others are told how far from the best they are."""
    shown = lines(
        study(group("one", 0.05, 100, **{"decoder.top_k": 1}), group("two", 0.10, 50, **{"decoder.top_k": 2}))
    )
    assert cells(shown[0]) == [
        "rank",
        "top_k",
        "mJ/token",
        "tokens/s",
        "TTFT ms",
        "W",
        "memory",
        "n",
        "against the best",
    ]
    assert cells(shown[2]) == ["1★", "1", "50.02 ± 0.44*", "100 ± 0*", "–", "5.002 ± 0.044", "128 MiB", "3", "best"]
    assert cells(shown[3])[-1] == "worse +100 %" and cells(shown[3])[0] == "2"
    assert "Best by energy per output token: one  (50.0 mJ/token)" in shown


def test_tiers_are_the_ranks() -> None:
    """Equals share one."""
    shown = lines(study(group("a", 0.1, 50, n=1), group("b", 0.0501, 99, n=2), group("c", 0.05, 100, n=3)))
    assert [cells(line)[0] for line in shown[2:5]] == ["2", "1", "1★"]
    assert cells(shown[3])[-1].startswith("equivalent +0.2")
    assert "  within 2 % of it: b" in shown


def test_far_apart_is_shown_as_a_multiple() -> None:
    """And a slower one with a minus."""
    shown = lines(study(group("a", 0.05, 100, n=1), group("b", 0.5, 50, n=2)))
    assert cells(shown[3])[-1] == "worse ×10"
    shown = lines(study(group("a", None, 100, n=1), group("b", None, 50, n=2)))
    assert cells(shown[3])[-1] == "worse -50 %"


def test_the_best_of_each_column_is_marked() -> None:
    """The least energy, power, memory and waiting, the most tokens; nothing where all are equal, or only one is known."""
    quick = {"latency": _latency(120.0), "memory": _memory(2**27)}
    slow = {"latency": _latency(900.0), "memory": _memory(2**28)}
    shown = lines(study(group("a", 0.05, 100, n=1, changes=quick), group("b", 0.06, 200, n=2, changes=slow)))
    assert [cell.endswith("*") for cell in cells(shown[2])] == [
        False,
        False,
        True,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert [cell.endswith("*") for cell in cells(shown[3])] == [
        False,
        False,
        False,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    shown = lines(study(group("a", 0.05, 100, n=1), group("b", 0.05, 100, n=2)))
    assert not any("*" in line for line in shown[:4])


def _latency(ttft_ms: float) -> LatencyGroup:
    none = Spread(reason="not observed")
    found = Spread(p50=ttft_ms)
    return LatencyGroup(
        ttft_ms=found, itl_ms=none, tpot_ms=none, e2e_ms=none, queue_ms=none, latency_method="per_token"
    )


def _memory(process: int, device: int | None = None) -> MemoryGroup:
    return MemoryGroup(
        weights_bytes=None,
        kv_bytes=None,
        device_allocated_peak_bytes=device,
        device_reserved_peak_bytes=None,
        process_peak_bytes=process,
    )


def test_memory_is_that_of_the_devices_where_all_say_it() -> None:
    """Else that of the process: two kinds are not put in one column."""
    a, b, c = _memory(2**27, 2**30), _memory(2**27, 2**31), _memory(2**27)
    shown = lines(
        study(group("a", 0.05, 100, n=1, changes={"memory": a}), group("b", 0.06, 90, n=2, changes={"memory": b}))
    )
    assert "device memory" in shown[0] and "1,024 MiB*" in shown[2]
    shown = lines(
        study(group("a", 0.05, 100, n=1, changes={"memory": a}), group("c", 0.06, 90, n=2, changes={"memory": c}))
    )
    assert "device memory" not in shown[0] and "128 MiB" in shown[2]


def test_options_of_different_engines_share_a_column() -> None:
    """Scoped keys are shown without their backend's name; values as words."""
    shown = text(
        study(
            group("a", 0.05, 100.0, **{"backend": "pytorch", "pytorch.batch_size": 8}),
            group("b", 0.06, 100.0, **{"backend": "llamacpp", "llamacpp.cache_prompt": True}),
        )
    )
    assert "batch_size=8" in shown and "cache_prompt=yes" in shown


def test_keys_with_one_last_word_keep_their_names() -> None:
    """Two columns are not called the same; a value that is not given is the default."""
    shown = lines(
        study(group("a", 0.05, 100, **{"a.x": 1, "b.x": None}), group("b", 0.06, 100, **{"a.x": 2, "b.x": False}))
    )
    assert cells(shown[0])[1:3] == ["a.x", "b.x"] and cells(shown[2])[2] == "default" and cells(shown[3])[2] == "no"


def test_a_study_of_n_calls_its_cycles_so() -> None:
    """Two columns are not called the same."""
    assert cells(lines(study(group("a", 0.05, 100, n=1), group("b", 0.06, 100, n=2)))[0])[-2] == "cycles"


def test_experiments_without_a_varied_key_have_their_label() -> None:
    """As the one of a study of one."""
    shown = lines(study(group("only", 0.05, 100)))
    assert cells(shown[0])[:2] == ["experiment", "mJ/token"] and "★" in shown[2] and "only" in shown[2]
    assert not any("Best by" in line for line in shown)


def test_remarks_of_some_are_flags_and_those_of_all_a_note() -> None:
    """Each code is written out once."""
    shown = lines(
        study(
            group("a", 0.05, 100, n=1, changes={"remarks": ("preliminary", "short_window")}),
            group("b", 0.06, 100, n=2, changes={"remarks": ("preliminary", "partial_pass", "short_window")}),
        )
    )
    assert "flags" in shown[0] and cells(shown[3])[-3] == "a"
    assert "Flags: a partial_pass" in shown and "Notes: preliminary, short_window" in shown
    assert "flags" not in lines(study(group("a", 0.05, 100, n=1), group("b", 0.06, 100, n=2)))[0]


# --- what the numbers mean


@pytest.mark.parametrize(
    ("cycles", "meaning"),
    [(3, "±: 95 % interval over cycles"), (2, "± of n = 2: their range")],
)
def test_what_plus_minus_means_is_said_once(cycles: int, meaning: str) -> None:
    """By the number of cycles."""
    shown = lines(study(group("a", 0.05, 100, cycles, n=1), group("b", 0.06, 100, cycles, n=2)))
    assert shown.count(meaning) == 1


def test_a_single_run_has_its_own_interval_or_none() -> None:
    """And it is called that."""
    own = joules(0.05, "J/token", repeatability_95={"low": 0.049, "high": 0.051})
    one = Group("a", {"n": 1}, (experiment_result(energy_per_output_token_j=own),))
    assert "± of n = 1: 95 % interval within the run" in text(study(one, group("b", 0.06, 100, 1, n=2)))
    assert "±" not in text(study(group("a", 0.05, 100, 1, n=1), group("b", 0.06, 100, 1, n=2)))


def test_a_lopsided_interval_is_shown_with_its_ends() -> None:
    """± would say that it reaches as far down as up."""
    shown = text(study(group("a", 0.05, 100, n=1, spread=100), group("b", 0.06, 100, n=2, spread=90)))
    assert "(22 … " in shown


def test_few_cycles_are_not_compared_and_the_reason_is_said_once() -> None:
    """No column of verdicts then."""
    shown = lines(study(*(group(f"e{n}", 0.05 + n / 100, 100, 1, n=n) for n in range(4))))
    assert "against the best" not in shown[0] and "rank" not in shown[0]
    assert [line for line in shown if "needs" in line] == ["  not compared, needs at least 3 cycles of both: all"]


def test_reasons_of_some_name_them() -> None:
    """Others are compared."""
    shown = lines(study(group("a", 0.05, 100, n=1), group("b", 0.06, 100, n=2), group("c", 0.07, 100, 2, n=3)))
    assert "  not compared, needs at least 3 cycles of both: c" in shown
    assert cells(shown[4])[-1] == "–"


def test_undecided_and_better_are_said() -> None:
    """In words, with the experiments."""
    shown = text(study(group("a", 0.05, 100, n=1, spread=30), group("b", 0.051, 100, n=2)))
    assert "cannot be told apart from it with this many cycles: b" in shown or "many cycles: a" in shown
    late = Group("late", {"n": 2}, (*group("", 0.04, 100).results, experiment_result(per_token_j=0.4, cycle=3)))
    shown = text(study(group("a", 0.05, 100, n=1), late))
    assert "better in the cycles that both have: late" in shown


def test_unpaired_comparisons_are_named() -> None:
    """The result says which way it was compared."""
    groups = group("a", 0.05, 100, n=1), group("b", 0.06, 100, n=2)
    said = "compared by their means, not in pairs of a cycle: b"
    assert said in text(study(*groups, design=Design(blocks=False))) and said not in text(study(*groups))


def test_missing_energy_is_a_dash_with_its_reason() -> None:
    """The ranking falls back to tokens per second and says so."""
    shown = text(study(group("a", None, 100.0, n=1), group("b", None, 50.0, n=2)))
    assert "Best by tokens per second: a" in shown
    assert "Energy was not ranked: no energy source was read" in shown and "–" in shown


def test_energies_of_two_kinds_are_not_ranked() -> None:
    """That is the reason then, and the two are not comparable."""
    estimated = Group("b", {"n": 2}, tuple(experiment_result(cycle=cycle, estimated=True) for cycle in range(3)))
    shown = text(study(group("a", 0.05, 100, n=1), estimated))
    assert "Energy was not ranked: not all of one kind" in shown
    assert "Not comparable, energy_scope (gpu, metered / package, estimated): a; b" in shown


def test_estimates_say_what_their_verdicts_are_about() -> None:
    """Repeatability here, by one model; without verdicts only that they are estimates."""

    def estimated(label: str, value: float, cycles: int, n: int) -> Group:
        bounds = {"low": value / 5, "high": value * 3}
        energy = joules(value, "J/token", estimated=True, absolute_95=bounds)
        results = (
            experiment_result(cycle=cycle, per_token_j=value, estimated=True, energy_per_output_token_j=energy)
            for cycle in range(cycles)
        )
        return Group(label, {"n": n}, tuple(results))

    shown = text(study(estimated("a", 0.05, 3, 1), estimated("b", 0.06, 3, 2)))
    assert "mJ/token (estimated)" in shown and "50.0 (10 … 150)*" in shown
    assert "not metered: they compare on this machine only" in shown
    assert "what repeats here by the same model, not what a meter would show" in shown
    assert "what repeats here" not in text(study(estimated("a", 0.05, 1, 1), estimated("b", 0.06, 1, 2)))


def test_others_are_named_by_what_sets_them_apart() -> None:
    """Parts that all labels share are said once, with the best; labels of other shapes, and of one, stay whole."""
    shown = lines(study(group("m / a / 1", 0.05, 100, 1, x=1), group("m / a / 8", 0.06, 100, 2, x=2)))
    assert "Best by energy per output token: m / a / 1  (50.0 mJ/token)" in shown
    three = [group("m / a / 1", 0.05, 100, x=1), group("m / a / 8", 0.0501, 99, x=2), group("m / a / 9", 1, 9, x=3)]
    assert "  within 2 % of it: 8" in lines(study(*three))
    three[2] = group("m / a", 1, 9, x=3)
    assert "  within 2 % of it: m / a / 8" in lines(study(*three))


def test_caveats_are_listed_with_what_differs() -> None:
    """Values that say nothing are left out, and a crowd is counted."""
    old, new = {"llenergymeasure_version": "1"}, {"llenergymeasure_version": "x" * 50}
    groups = [group(f"old {n}", 0.05, 100, 1, n=n, changes=old) for n in range(3)]
    shown = lines(study(*groups, group("new", 0.05, 100, 1, n=9, changes=new)))
    assert "Compare with caveats, llenergymeasure_version: all" in shown
    mixed = Group("m", {}, (experiment_result(**old), experiment_result(cycle=1, llenergymeasure_version="2")))
    assert "Compare with caveats, llenergymeasure_version (1 / 2): m" in lines(study(mixed))


def test_intervals_wider_than_asked_are_named() -> None:
    """The target was not reached within the cycles allowed, or there is no interval."""
    groups = group("a", 0.05, 100, 5, n=1), group("b", 0.06, 100, 5, n=2, spread=10), group("c", None, 100, 1, n=3)
    shown = text(study(*groups, measurement_protocol={"target_rel_ci": 0.01}))
    assert "Wider than the ±0.01 asked for: b; c" in shown
    assert "Wider" not in text(study(*groups))
    assert "Wider" not in text(study(*groups[:1], measurement_protocol={"target_rel_ci": 0.01}))


# --- widths


def _wide() -> StudyResult:
    """As a real study: estimated, with all columns."""
    changes = {"latency": _latency(208.0)}
    return study(
        *(
            group(f"e{n}", 0.05 * n, 100, n=n, changes={**changes, "remarks": ("short_window",) * (n == 2)})
            for n in (1, 2)
        )
    )


def test_a_pipe_has_everything() -> None:
    """Whatever its width."""
    assert "memory" in lines(_wide())[0] and not any("no room" in line for line in lines(_wide()))


@pytest.mark.parametrize(
    ("width", "gone"), [(110, []), (85, []), (80, ["memory"]), (72, ["memory", "W"]), (64, ["memory", "W", "TTFT"])]
)
def test_a_narrow_terminal_leaves_columns_out_and_says_which(width: int, gone: list[str]) -> None:
    """No line of the table is wider; what is left out is named."""
    shown = lines(_wide(), width)
    table = shown[: shown.index("")]
    assert all(display_width(line) <= width for line in table) and "mJ/token" in table[0]
    said = [line for line in shown if line.startswith("(no room for ")]
    assert said == ([f"(no room for {', '.join(gone)} here; results.csv has all)"] if gone else [])


def test_a_very_narrow_terminal_gets_blocks() -> None:
    """Everything, one line a number."""
    shown = lines(_wide(), 40)
    assert shown[0].split() == ["rank", "1★"] and any(line.startswith("memory") for line in shown)
    assert all(line == line.rstrip() for line in shown)


# --- what did not run


def test_skipped_failed_merged_and_left_out_stay_apart() -> None:
    """Each with its reason."""
    failed = FailedTrial(
        trial=2, label="b, cycle 1", kind="out_of_memory", message="too big", hint="smaller", folder="f", config={}
    )
    shown = lines(
        study(
            group("a", 0.05, 100.0),
            skipped=(SkippedPoint(label="precision=bf16", reason="not supported"),),
            failed=(failed, failed.model_copy(update={"hint": ""})),
            planned=7,
            merged=1,
            outcome="interrupted",
        )
    )
    assert shown[-6:] == [
        "Skipped  precision=bf16: not supported",
        "Failed   b, cycle 1: out_of_memory: too big",
        "         smaller",
        "Failed   b, cycle 1: out_of_memory: too big",
        "Merged   1 equal point",
        "Not run  2 of 7 trials",
    ]


def test_nothing_that_ran_has_no_table() -> None:
    """Only why; and what ran without a valid result is shown and not ranked."""
    assert lines(study(Group("a", {}, ()), planned=3)) == ["Not run  3 of 3 trials"]
    shown = text(study(group("a", 0.05, 100, changes={"remarks": ("physics",)})))
    assert "No experiment could be ranked: none has a valid result." in shown and "★" not in shown.split("\n\n")[0]


def test_a_rate_that_is_missing_is_a_dash() -> None:
    """An experiment without a token is in the table."""
    empty = Group("a", {"n": 1}, (experiment_result(per_token_j=None, rate=None),))
    shown = text(study(empty, group("b", 0.05, 100, n=2)))
    assert "not compared, the window holds no output token: all" in shown


def test_the_quantity_of_a_study_that_ranks_rates() -> None:
    """Its best is told in tokens per second."""
    rate = Quantity(value=123.0, unit="tokens/s")
    one = Group("a", {"n": 1}, (experiment_result(per_token_j=None, tokens_per_second=rate),))
    assert "a  (123 tokens/s)" in text(study(one, group("b", None, 50, 1, n=2)))


# --- phases


def _split(decode: Quantity, whole: int) -> PhaseSplit:
    prefill = joules(2.0, repeatability_95={"low": 1.9, "high": 2.1}) if decode.value else missing("J", "too short")
    token = joules(0.05, "J/token", repeatability_95={"low": 0.04, "high": 0.06}) if decode.value else decode
    return PhaseSplit(
        first_token=0,
        whole=whole,
        n=3,
        prefill_j_per_request=prefill,
        decode_j_per_request=decode,
        decode_j_per_output_token=token,
    )


def test_phases_are_shown_with_their_intervals_or_with_why_not() -> None:
    """One line for each pair that tells, and one for each reason of those that do not."""
    groups = [group(f"m / {tokens}", 0.05, 100.0, tokens=tokens) for tokens in (1, 16, 32, 64)]
    told = joules(8.0, repeatability_95={"low": 7.5, "high": 8.5})
    splits = (_split(told, 1), _split(missing("J", "too short"), 2), _split(missing("J", "too short"), 3))
    found = [line for line in lines(study(*groups, phases=splits)) if line.startswith("Phases")]
    assert found == [
        "Phases, 16: prefill 2.00 ± 0.10 J a request, decode 8.00 ± 0.50 J a request, 50 ± 10 mJ/token",
        "Phases, 32; 64: prefill and decode not told apart: too short",
    ]


def test_a_note_that_puts_numbers_in_doubt_says_what_helps() -> None:
    """Of all remarks of a study, the warnings; information has its code."""
    remarks = {"changes": {"remarks": ("contention", "preliminary")}}
    found = lines(study(group("a", 0.05, 100.0, **remarks), group("b", 0.06, 90.0, **remarks)))
    assert found[found.index("Notes: contention, preliminary") + 1].startswith("  contention: stop what else runs")
    assert not any(line.startswith("  preliminary") for line in found)
