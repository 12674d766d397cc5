from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.model.job import Protocol, WarmupProtocol, WindowProtocol
from llenergymeasure.model.machine import Architecture
from llenergymeasure.plan.forecast_time import (
    Device,
    EarlierTrial,
    Work,
    accelerator,
    cpu,
    forecast_time,
    nearest,
    time_limit_s,
)

_NOWHERE = Device("a board", None, None)
_SHAPE = Architecture("llama", 30, 576, 9, 3, 64, 49152, 8192, 134_515_008, 134_515_008, 28_311_552, True, 1536)


def _work(**changes: Any) -> Work:
    fields: dict[str, Any] = {
        "model": "m",
        "backend": "pytorch",
        "precision": "bf16",
        "concurrency": 8,
        "n": 16,
        "input_tokens": 100.0,
        "output_tokens": 50.0,
        "protocol": Protocol(WarmupProtocol("fixed", 2), WindowProtocol(10.0), 5.0, 5.0, 0.5),
        "architecture": _SHAPE,
        "weight_bytes": 2 * _SHAPE.parameters,
    }
    return Work(**fields | changes)


def _earlier(**changes: Any) -> EarlierTrial:
    fields: dict[str, Any] = {
        "study": "first",
        "model": "m",
        "backend": "pytorch",
        "precision": "bf16",
        "concurrency": 8,
        "tokens_per_second": 100.0,
        "mean_power_w": 50.0,
        "power_estimated": False,
        "load_s": 4.0,
    }
    return EarlierTrial(**fields | changes)


def test_an_earlier_trial_gives_time_and_energy() -> None:
    """Load, warm-up batches and whole passes at its rate; its power while they last; idles and a fixed cost beside it."""
    found = forecast_time(_work(), [_earlier()], _NOWHERE)
    # 4 s of loading, 2 batches of 8 × 50 tokens, and passes of 16 × 50 tokens (8 s each) until 10 s are over.
    working_s = 4 + 2 * 4 + 2 * 8
    assert found.seconds == pytest.approx(working_s + 10.5 + 1.5)
    assert found.joules == pytest.approx(50 * working_s)
    assert not found.guessed
    assert "first" in found.basis


def test_a_limit_ends_the_window_at_the_next_batch() -> None:
    """No batch begins after it."""
    short = replace(_work().protocol, window=WindowProtocol(10.0, 11.0))
    found = forecast_time(_work(protocol=short), [_earlier()], _NOWHERE)
    assert found.seconds == pytest.approx(4 + 8 + (11 + 4) + 12)


def test_a_warm_up_may_be_left_out_or_run_into_its_limit() -> None:
    """Without one it takes nothing; a slow one ends after its limit and the batch then under way."""
    none = forecast_time(_work(protocol=Protocol(WarmupProtocol("none"))), [_earlier()], _NOWHERE)
    slow = forecast_time(_work(protocol=Protocol(WarmupProtocol("fixed", 100, 10.0))), [_earlier()], _NOWHERE)
    assert (none.seconds, slow.seconds) == (pytest.approx(4 + 16 + 1.5), pytest.approx(4 + 14 + 16 + 1.5))


def test_a_cold_start_is_loading_and_one_request() -> None:
    """Nothing is repeated."""
    found = forecast_time(_work(cold_start=True, protocol=Protocol()), [_earlier()], _NOWHERE)
    assert found.seconds == pytest.approx(4 + 0.5 + 1.5)


def test_the_nearest_trial_has_the_precision_and_then_the_concurrency() -> None:
    """Of the same model and engine only; of equals the first, which is the newest."""
    trials = [
        _earlier(study="other model", model="x"),
        _earlier(study="other engine", backend="llamacpp"),
        _earlier(study="other precision", precision="fp32"),
        _earlier(study="near", concurrency=4),
        _earlier(study="as near", concurrency=16),
        _earlier(study="far", concurrency=64),
    ]
    found = nearest(_work(), trials)
    assert found is not None
    assert found.study == "near"
    assert nearest(_work(), trials[:2]) is None


def test_without_power_there_are_no_joules_and_a_reason() -> None:
    """Energy is never made up."""
    found = forecast_time(_work(), [_earlier(mean_power_w=None)], _NOWHERE)
    assert (found.joules, bool(found.joules_reason)) == (None, True)


def test_a_guess_is_called_one() -> None:
    """Without an earlier trial, bandwidth and arithmetic bound the rate, and the basis says that it is a guess."""
    found = forecast_time(_work(), [], cpu("a CPU", 2))
    assert found.guessed
    assert found.seconds is not None
    assert found.joules is None
    assert found.basis.startswith("a guess")


@pytest.mark.parametrize(
    ("work", "device"),
    [(_work(architecture=None), cpu("a CPU", 2)), (_work(weight_bytes=None), cpu("a CPU", 2)), (_work(), _NOWHERE)],
    ids=["model", "weights", "device"],
)
def test_where_nothing_is_known_there_is_no_basis(work: Work, device: Device) -> None:
    """An unknown model or device gives no time, and says so."""
    found = forecast_time(work, [], device)
    assert (found.seconds, found.joules) == (None, None)
    assert found.basis.startswith("no basis")


def test_an_accelerator_reaches_half_of_its_peaks() -> None:
    """Peaks that nobody knows stay unknown."""
    assert accelerator("a board", 2e12, None) == Device("a board", 1e12, None)


@given(n=st.integers(1, 500), output=st.integers(1, 2000), concurrency=st.integers(1, 64), more=st.integers(1, 100))
def test_more_output_never_takes_less_time(n: int, output: int, concurrency: int, more: int) -> None:
    """A guess grows with the answers' length, once the window is one pass."""
    one_pass = Protocol(WarmupProtocol("fixed", 2), WindowProtocol(0.0))
    times = [
        forecast_time(
            _work(n=n, output_tokens=float(tokens), concurrency=concurrency, protocol=one_pass), [], cpu("a CPU", 2)
        ).seconds
        for tokens in (output, output + more)
    ]
    assert times[0] is not None
    assert times[1] is not None
    assert times[1] >= times[0]


def test_a_trial_is_given_up_after_five_times_what_is_forecast() -> None:
    """Counted from the end of loading; the rest before the warm-up is part of it."""
    work = _work(n=1600)
    # 2 batches of 8 × 50 tokens and one pass of 1,600 × 50 at 100 tokens/s
    assert time_limit_s(work, [_earlier()]) == pytest.approx(5.5 + 5 * (8 + 800))
    assert time_limit_s(_work(), [_earlier()]) == pytest.approx(5.5 + 600), "never sooner than after ten minutes"


def test_a_long_warmup_is_allowed() -> None:
    """What the protocol lets a trial take to become steady is no sign of one that hangs."""
    protocol = replace(_work().protocol, warmup=WarmupProtocol("steady", 5, max_seconds=3000.0))
    assert time_limit_s(_work(protocol=protocol), [_earlier()]) == pytest.approx(5.5 + 3000 + 5 * 16)


@pytest.mark.parametrize(
    "changes", [{"precision": "fp32"}, {"concurrency": 9}, {"backend": "llamacpp"}, {"model": "other"}]
)
def test_what_does_not_tell_sets_no_limit(changes: dict[str, Any]) -> None:
    """Another precision, or more requests at a time: this one may be slower by any factor. Nor does a guess."""
    assert time_limit_s(_work(), [_earlier(**changes)]) is None
    assert time_limit_s(_work(), []) is None
    assert time_limit_s(_work(), [_earlier(**changes), _earlier(concurrency=1)]) is not None
