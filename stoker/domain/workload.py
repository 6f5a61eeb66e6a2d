"""The load that a server must carry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Offered load of a server, over all its replicas.

    Attributes:
        arrival_rate_rps: Requests offered per second (offered, not completed).
        input_tokens: Mean input tokens of a request.
        output_tokens: Mean output tokens of a request.
        throughput_rps: Requests completed per second, where it was observed; informative only.
        arrival_cv: Coefficient of variation of the times between requests, those to all replicas;
            1 is Poisson. What one replica gets of them follows from the router.
        input_tokens_cv: Coefficient of variation of the input tokens; 0 is a fixed length.
        output_tokens_cv: Coefficient of variation of the output tokens.
        prefix_hit_rate: Share of the input tokens whose KV is in the prefix cache already.
    """

    arrival_rate_rps: float
    input_tokens: float
    output_tokens: float
    throughput_rps: float | None = None
    arrival_cv: float = 1.0
    input_tokens_cv: float = 0.0
    output_tokens_cv: float = 0.0
    prefix_hit_rate: float = 0.0

    @property
    def is_zero(self) -> bool:
        """Whether there is nothing to serve (a known zero; an unknown load is no `Load` at all)."""
        return self.arrival_rate_rps == 0 or self.output_tokens == 0
