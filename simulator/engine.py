"""One replica's engine: its limits and the time of its iterations."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.iteration import IterationModel
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET

DEFAULT_BLOCK_TOKENS = 16
"""Tokens of a KV block, the default of vLLM."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Limits of one replica.

    Attributes:
        iteration: Time of an iteration.
        max_batch: Sequences in service at most.
        max_queue: Requests that may wait while the batch is full; None for no limit. A request
            that finds max_batch + max_queue in the system is turned away.
        token_budget: Tokens that an iteration computes at most; it bounds the batch as well.
        kv_tokens: KV capacity in tokens, rounded down to whole blocks; None for no limit.
        block_tokens: Tokens of a KV block.
    """

    iteration: IterationModel
    max_batch: int
    max_queue: int | None = None
    token_budget: int = DEFAULT_TOKEN_BUDGET
    kv_tokens: int | None = None
    block_tokens: int = DEFAULT_BLOCK_TOKENS

    def __post_init__(self) -> None:
        """Check the limits.

        Raises:
            ValueError: A limit that no engine can have; the message names it.
        """
        for name, value, least in (
            ("max_batch", self.max_batch, 1),
            ("max_queue", self.max_queue, 0),
            ("token_budget", self.token_budget, 1),
            ("block_tokens", self.block_tokens, 1),
            ("kv_tokens", self.kv_tokens, self.block_tokens),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} is {value} (allowed: {least} or more)")
