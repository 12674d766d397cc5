"""Static batches as plain data: which requests go together, how they are padded, and which generated ids are whose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llenergymeasure.model.request import FinishReason, Request


def batches(requests: Sequence[Request], size: int, *, sort_by_length: bool) -> Iterator[tuple[Request, ...]]:
    """The requests in batches of ``size``, the last one smaller; in order, or the longest inputs first."""
    ordered = sorted(requests, key=lambda request: -len(request.input_ids)) if sort_by_length else requests
    for begin in range(0, len(ordered), size):
        yield tuple(ordered[begin : begin + size])


def padded_left(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[list[list[int]], list[list[int]]]:
    """(ids, mask) of equal lengths: padding before each shorter prompt, with 0 in the mask where it stands."""
    longest = max(len(prompt) for prompt in prompts)
    ids = [[pad_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return ids, mask


def own_tokens(generated: Sequence[int], limit: int, end_ids: Sequence[int]) -> tuple[tuple[int, ...], FinishReason]:
    """What one request generated, and why it ended, from its row of a batch.

    Up to and with the first end token, at most ``limit`` ids. What a row holds beyond that is padding, or what the engine went
    on to generate while others of the batch were not done; neither counts. Without ``end_ids`` no token ends anything.
    """
    for index, token in enumerate(generated[:limit]):
        if token in end_ids:
            return tuple(generated[: index + 1]), "stop"
    return tuple(generated[:limit]), "length"


def shapes(n: int, batch_size: int) -> tuple[int, ...]:
    """The sizes of the batches that ``n`` requests make: the usual one, and that of a smaller last batch."""
    full = min(n, batch_size)
    rest = n % batch_size if n > batch_size else 0
    return (full, rest) if rest else (full,)
