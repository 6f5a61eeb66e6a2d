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
    """

    arrival_rate_rps: float
    input_tokens: float
    output_tokens: float
    throughput_rps: float | None = None

    @property
    def is_zero(self) -> bool:
        """Whether there is nothing to serve (a known zero; an unknown load is no `Load` at all)."""
        return self.arrival_rate_rps == 0 or self.output_tokens == 0
