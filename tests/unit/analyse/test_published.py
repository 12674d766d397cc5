from __future__ import annotations

from typing import Any

import pytest

from llenergymeasure.analyse.trial import analyse
from llenergymeasure.data.published import PublishedCurve, published_curves, published_figures
from llenergymeasure.model.job import BackendChoice, ModelRef
from llenergymeasure.model.reading import Channel, Reading
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.testing.builders import session_facts, trace, trial_job
from llenergymeasure.units import NS_PER_S

# Four requests decode together.
_CURVE = PublishedCurve(("M-8B",), "bf16", "H100 80GB HBM3", 1, "vLLM", "chat", "somebody", ((2, 0.6), (8, 0.3)))


def _result(
    curve: PublishedCurve = _CURVE, *, name: str = "m/M-8B-Instruct", device: str = "H100 80GB HBM3", **changes: Any
) -> ExperimentResult:
    """A GPU that draws 100 W while four requests give 4,400 tokens in 12 s."""
    channel = Channel(
        0, "nvml", "gpu", "GPU-1", f"NVIDIA {device}", "counter", "J", 20.0, update_period_s=0.1, stated_error=0.05
    )
    readings = [Reading(t * NS_PER_S // 10, 0, 0, t * 10.0) for t in range(0, 151)]
    model = changes.pop("model", ModelRef(name, "/nowhere", "directory"))
    options = changes.pop("options", {})
    return analyse(
        trace(
            readings=readings,
            channels=(channel,),
            job=trial_job(model=model, backend=BackendChoice("vllm", options)),
            session=session_facts(device_ids=("GPU-1",), precision="bf16") if not changes else session_facts(**changes),
        ),
        published=(curve,),
    )


def test_a_result_is_held_against_a_curve_of_the_same_model_and_board() -> None:
    """Between two points energy is a + b/B: at 4 it is 0.2 + 0.8/4 = 0.4 J/token; the result is 1200 J over 4400 tokens."""
    (found,) = _result().published
    assert found.published_j_per_output_token == pytest.approx(0.4)
    assert found.requests_together == pytest.approx(4.0)
    assert found.ratio == pytest.approx(1200 / 4400 / 0.4, rel=1e-3)
    assert found.source == "somebody" and "M-8B (bf16) on 1 × H100 80GB HBM3" in found.conditions
    assert "this is 0.68 × that" in _result().summary()


@pytest.mark.parametrize(
    "other",
    [
        {"name": "m/M-80B"},
        {"device": "H100 PCIe"},
        {"device_ids": ("GPU-1",), "precision": "fp16"},
        {"options": {"quantization": "bnb-int8"}},
        {"model": ModelRef("m/M-8B", "/nowhere", "directory", quantised=True)},
        {"curve": PublishedCurve(("M-8B",), "bf16", "H100 80GB HBM3", 2, "vLLM", "chat", "s", ((2, 0.6), (8, 0.3)))},
        {"curve": PublishedCurve(("M-8B",), "bf16", "H100 80GB HBM3", 1, "vLLM", "chat", "s", ((8, 0.6), (16, 0.3)))},
        {"device_ids": ("cpu",), "precision": "bf16"},
    ],
)
def test_other_conditions_are_not_compared(other: dict[str, Any]) -> None:
    """Another model, board, number of boards, precision or quantisation, or too few requests together: nothing is said."""
    assert _result(**other).published == ()


def test_a_model_that_is_stored_quantised_meets_its_own_curve() -> None:
    """``gpt-oss`` is stored, and was published, in MXFP4."""
    curve = PublishedCurve(("gpt-oss-20b",), "mxfp4", "H100 80GB HBM3", 1, "vLLM", "chat", "s", ((2, 0.6), (8, 0.3)))
    model = ModelRef("openai/gpt-oss-20b", "/nowhere", "directory", quantised=True)
    assert len(_result(curve, model=model).published) == 1


def test_the_tables_are_whole() -> None:
    """Every curve falls or nearly so, in order of requests together, and every figure names its source."""
    curves = published_curves()
    assert len(curves) >= 15 and len(published_figures()) >= 8
    for curve in curves:
        together = [count for count, _ in curve.points]
        assert together == sorted(set(together)) and len(together) >= 2
        assert curve.points[0][1] > curve.points[-1][1] > 0 and curve.source
    assert all(figure.source and figure.unit for figure in published_figures())


def test_a_dense_model_s_curve_is_a_plus_b_over_b() -> None:
    """Llama-3.1-8B on one H100: the points follow 0.0665 + 3.162/B within 10 % up to 256 requests, as its data do."""
    curve = next(one for one in published_curves() if one.models == ("Llama-3.1-8B",) and "H100" in one.device)
    for together, energy_j in curve.points:
        if together <= 256:
            assert energy_j == pytest.approx(0.0665 + 3.162 / together, rel=0.1)
