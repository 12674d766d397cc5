"""Requests: one prompt in, one completion out; as given to a session and as it came out."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Literal

FinishReason = Literal["length", "stop", "cancelled", "error"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a session is asked to complete.

    ``sequence`` numbers the requests of a trial without gaps over warm-up and window; ``prompt`` is the row in the prepared
    inputs; ``max_new_tokens`` is this request's own limit.
    """

    sequence: int
    prompt: int
    input_ids: tuple[int, ...]
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What a session reports when a request is done.

    ``output_ids``: all ids that were generated, the end token included once, padding never. An id that an engine counts and does
    not tell is ``-1``: it is a token all the same.

    ``engine_output_tokens`` is the engine's own count, kept beside ours; ``engine_queue_ms`` the time the engine says the
    request waited before its work began; ``engine_cached_tokens`` those of the input that a prefix cache spared it;
    ``engine_drafted_tokens`` those that speculation proposed, ``engine_accepted_tokens`` those of them that were kept. Each is
    ``None`` when the engine reports none.
    """

    sequence: int
    output_ids: tuple[int, ...]
    finish_reason: FinishReason
    finished_ns: int
    engine_input_tokens: int | None = None
    engine_output_tokens: int | None = None
    engine_queue_ms: float | None = None
    engine_cached_tokens: int | None = None
    engine_drafted_tokens: int | None = None
    engine_accepted_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request of the window, joined: times in monotonic ns, token times one an output token or empty if not observed.

    ``batch`` numbers the submissions of the trial: requests of one static batch share it.
    """

    sequence: int
    prompt: int
    batch: int
    input_ids: array[int]
    output_ids: array[int]
    submitted_ns: int
    finished_ns: int
    token_t_ns: array[int] = field(default_factory=lambda: array("q"))
    finish_reason: FinishReason = "length"
    engine_input_tokens: int | None = None
    engine_output_tokens: int | None = None
    engine_queue_ms: float | None = None
    engine_cached_tokens: int | None = None
    engine_drafted_tokens: int | None = None
    engine_accepted_tokens: int | None = None

    @property
    def first_token_ns(self) -> int | None:
        """When the first token was seen; ``None`` when the backend does not observe tokens."""
        return self.token_t_ns[0] if self.token_t_ns else None
