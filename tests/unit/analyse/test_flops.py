"""Counting arithmetic from a model's shape."""

from array import array
from dataclasses import replace

import pytest

from llenergymeasure.analyse.flops import decode_flops, flops, prefill_flops
from llenergymeasure.model.machine import Architecture
from llenergymeasure.model.request import RequestRecord

# Two layers of ten parameters each, four heads of three, a vocabulary of a hundred over five dimensions.
TINY = Architecture(
    family="tiny",
    layers=2,
    hidden_size=5,
    attention_heads=4,
    key_value_heads=1,
    head_dim=3,
    vocabulary=100,
    context_limit=64,
    parameters=520,
    active_parameters=520,
    embedding_parameters=500,
    tied_embeddings=True,
)
BODY, HEAD, POSITION = 2 * 20, 2 * 500, 4 * 2 * 4 * 3


def request(inputs, outputs):
    return RequestRecord(
        sequence=0,
        prompt=0,
        batch=0,
        input_ids=array("i", [1] * inputs),
        output_ids=array("i", [1] * outputs),
        submitted_ns=0,
        finished_ns=1,
    )


def test_prefill_attends_causally_and_projects_once():
    """Every prompt token meets the body and itself with all before; the output projection is used for the last one only."""
    assert prefill_flops(TINY, 3) == 3 * BODY + (1 + 2 + 3) * POSITION + HEAD


def test_decode_feeds_back_all_but_the_last_token():
    """Of four output tokens three are fed back, each a position further."""
    assert decode_flops(TINY, 3, 4) == 3 * (BODY + HEAD) + (4 + 5 + 6) * POSITION


@pytest.mark.parametrize("outputs", [0, 1])
def test_one_token_needs_no_decoding(outputs):
    """The first token comes out of the prefill."""
    assert decode_flops(TINY, 3, outputs) == 0


def test_an_empty_prompt_costs_nothing():
    """Without a token there is no arithmetic."""
    assert prefill_flops(TINY, 0) == 0


def test_an_untied_projection_is_not_counted_twice():
    """Tied or not, a token is multiplied with the same weights."""
    untied = replace(TINY, parameters=1020, active_parameters=1020, tied_embeddings=False)
    assert prefill_flops(untied, 3) == prefill_flops(TINY, 3)


def test_experts_that_are_not_chosen_cost_nothing():
    """Parameters that no token passes do not count."""
    assert prefill_flops(replace(TINY, parameters=10_000, experts=8, experts_per_token=1), 3) == prefill_flops(TINY, 3)


def test_sliding_layers_attend_to_their_window():
    """A layer with a window of two attends to one position, then to two; the other layer to all."""
    sliding = replace(TINY, sliding_window=2, sliding_layers=1)
    per_layer = POSITION // 2
    assert prefill_flops(sliding, 4) == 4 * BODY + HEAD + (1 + 2 + 3 + 4) * per_layer + (1 + 2 + 2 + 2) * per_layer
    assert decode_flops(sliding, 4, 3) == 2 * (BODY + HEAD) + (5 + 6) * per_layer + (2 + 2) * per_layer


def test_requests_add_up():
    """Prefill and decode are sums over the requests, apart and together, and by output token."""
    group = flops(TINY, (request(3, 4), request(2, 1)))
    assert group.prefill == prefill_flops(TINY, 3) + prefill_flops(TINY, 2)
    assert group.decode == decode_flops(TINY, 3, 4)
    assert group.total == group.prefill + group.decode
    assert group.per_output_token == group.total / 5
    assert group.method is not None
    assert group.confidence == "high"


def test_without_output_there_is_no_figure_per_token():
    """Requests that gave nothing leave FLOPs per output token open."""
    assert flops(TINY, (request(3, 0),)).per_output_token is None


@pytest.mark.parametrize(("given", "says"), [(None, "not known"), ("latent attention", "latent attention")])
def test_an_unknown_architecture_gives_its_reason(given, says):
    """Without an architecture there is no count, and the reason that the model gave is passed on."""
    group = flops(None, (request(3, 4),), reason=given)
    assert group.total is None
    assert says in (group.reason or "")
