"""How replicas serve: engines in parallel, and prefill and decode together or apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.routing import Router


class Serving(StrEnum):
    """Where the first token of a request and its further ones are computed."""

    AGGREGATED = "aggregated"
    """On the same replica."""
    DISAGGREGATED = "disaggregated"
    """Prompts on replicas of a prefill pool, all further tokens on those of a decode pool."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How the cards of one replica share its work.

    Attributes:
        tensor: Cards that share each layer.
        pipeline: Groups of cards that layers are dealt out to.
        expert: Cards that the experts of a layer are dealt out to. They are among those of
            `tensor` and `data`, and take none of their own.
        data: Engines of the replica, each with a copy of the model (but for shared experts) and
            with requests of its own.
    """

    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    data: int = 1

    @property
    def cards(self) -> int:
        """Cards that one replica takes."""
        return self.tensor * self.pipeline * self.data

    @property
    def label(self) -> str:
        """The degrees above 1 in short, such as ``tp4 dp2``; ``tp1`` without any."""
        degrees = (("tp", self.tensor), ("pp", self.pipeline), ("ep", self.expert))
        shown = [f"{name}{n}" for name, n in (*degrees, ("dp", self.data)) if n > 1]
        return " ".join(shown) or "tp1"


@dataclass(frozen=True, slots=True)
class Disaggregation:
    """How replicas of a profile decode for a pool of others that compute the prompts.

    Attributes:
        prefill_configuration: Configuration of the prefill replicas, of the same model on the same
            accelerator; None for the configuration of the decode replicas.
        prefill_router: How a request finds its prefill replica.
        decode_router: How it finds its decode replica.
        transfer_ms: Time of a transfer of KV, whatever its size.
        transfer_ms_per_token: Further time for each input token.
    """

    prefill_configuration: str | None = None
    prefill_router: Router = Router.ROUND_ROBIN
    decode_router: Router = Router.SHORTEST_QUEUE
    transfer_ms: float = 0.0
    transfer_ms_per_token: float = 0.0


def configured_name(accelerator: str, configuration: str) -> str:
    """Return an accelerator with the configuration of the model on it: ``H100 (tp2)``.

    Args:
        accelerator: Its name.
        configuration: Name of the configuration; empty where it has none.
    """
    return f"{accelerator} ({configuration})" if configuration else accelerator
