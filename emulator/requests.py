"""A request on its way through an emulated replica."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class RequestState(StrEnum):
    """Where a request is, or what became of it."""

    WAITING = "waiting"
    """Sent, and in no batch: held before the replicas, or in the line of one."""
    RUNNING = "running"
    """In a batch."""
    DONE = "done"
    """All its tokens were made."""
    TURNED_AWAY = "turned away"
    """It found the line of its replica full."""
    TOO_LARGE = "too large"
    """No KV memory of a replica could ever hold it."""
    REFUSED = "refused"
    """Nobody was there to take it: the replica starts, drains or is gone."""
    FAILED = "failed"
    """Its replica crashed, failed on request, or was ended before it was done."""
    ABORTED = "aborted"
    """Its reader went away."""


@dataclass(eq=False, slots=True)
class EmulatedRequest:
    """A request: what is asked for, what became of it, and where the engine is with it.

    Times are in ms of the emulated clock; NaN where something has not happened.

    Attributes:
        prompt_tokens: Tokens of the prompt, at least 1.
        output_tokens: Tokens to make, at least 1.
        cached_tokens: Tokens of the prompt whose KV is cached: read, but not computed.
        on_token: Called at the end of each iteration that made a token of it, with the time at
            which its reader has that token; None where nobody reads along.
        on_end: Called once when it has ended, whatever became of it.
        sent_ms: When its client sent it.
        arrival_ms: When it reached its replica.
        admitted_ms: Start of the iteration that first served it.
        first_token_ms: When its reader had the first token.
        completion_ms: When its reader had the last token, or it ended otherwise.
        state: Where it is, or what became of it.
        preemptions: How often it lost its KV.
        produced: Output tokens so far; not kept up while it decodes.
        replica: Name of the replica that took it; empty before.
        reason: Why it ended badly, in words; empty where it did not.
    """

    prompt_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    on_token: Callable[[float], None] | None = None
    on_end: Callable[[EmulatedRequest], None] | None = None
    sent_ms: float = math.nan
    arrival_ms: float = math.nan
    admitted_ms: float = math.nan
    first_token_ms: float = math.nan
    completion_ms: float = math.nan
    state: RequestState = RequestState.WAITING
    preemptions: int = 0
    produced: int = 0
    replica: str = ""
    reason: str = ""
    # The engine's own, meaningless outside it.
    delay_ms: float = 0.0
    last_token_ms: float = math.nan
    order: int = 0
    base: int = 0
    finish: int = 0
    to_compute: int = 0
    left: int = 0

    def __post_init__(self) -> None:
        """Check the lengths.

        Raises:
            ValueError: Fewer than one token to read or to make, or more cached than all but one.
        """
        if self.prompt_tokens < 1 or self.output_tokens < 1:
            raise ValueError(
                f"prompt_tokens is {self.prompt_tokens} and output_tokens {self.output_tokens} "
                "(allowed: 1 or more)"
            )
        if not 0 <= self.cached_tokens < self.prompt_tokens:
            raise ValueError(
                f"cached_tokens is {self.cached_tokens} (allowed: 0 to {self.prompt_tokens - 1})"
            )

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in (RequestState.WAITING, RequestState.RUNNING)

    @property
    def ttft_ms(self) -> float:
        """Time from sending to the first token, with its reader."""
        return self.first_token_ms - self.sent_ms

    @property
    def itl_ms(self) -> float:
        """Mean time between its tokens; NaN for a single one."""
        if self.output_tokens < 2:
            return math.nan
        return (self.completion_ms - self.first_token_ms) / (self.output_tokens - 1)

    @property
    def e2e_ms(self) -> float:
        """Time from sending to the last token, with its reader."""
        return self.completion_ms - self.sent_ms

    def end(self, state: RequestState, at_ms: float, reason: str = "") -> None:
        """End it, and tell who waits for that; without effect on one that has ended."""
        if self.ended:
            return
        self.state, self.completion_ms, self.reason = state, at_ms, reason
        if self.on_end is not None:
            self.on_end(self)
