"""Service classes and the latency promises (SLO targets) they make, by model."""

from __future__ import annotations

from dataclasses import dataclass

HIGHEST_PRIORITY = 1
LOWEST_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class SloTarget:
    """What a service class promises for a model; None means that nothing is promised.

    Attributes:
        model: Name of the model.
        ttft_ms: Largest mean time to first token, in ms.
        itl_ms: Largest mean inter-token latency, in ms.
        tps: Output tokens per second that the server must be able to deliver, over all replicas.
    """

    model: str
    ttft_ms: float | None = None
    itl_ms: float | None = None
    tps: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """A class of service.

    Attributes:
        name: Name of the class.
        priority: 1 is served first, 100 last.
        targets: One target a model.
    """

    name: str
    priority: int
    targets: tuple[SloTarget, ...] = ()

    def target_for(self, model: str) -> SloTarget | None:
        """Return the target of a model, or None where the class has none for it."""
        return next((target for target in self.targets if target.model == model), None)
