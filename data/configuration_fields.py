"""Fields of configurations: degrees of parallelism, prefill and decode apart, slices of cards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from data.fields import Amount, Name, PositiveCount, StrictModel
from stoker.domain.accelerator import Slice
from stoker.domain.routing import Router
from stoker.domain.serving import Disaggregation, Parallelism

RouterName = Literal["random", "round-robin", "shortest-queue", "least-kv"]
"""Labels of `Router`."""

ServingName = Literal["aggregated", "disaggregated"]
"""Values of `Serving`."""

_ROUTERS = {router.label: router for router in Router}


class ParallelEntry(StrictModel):
    """How the cards of one replica share its work; a replica takes tensor × pipeline × data."""

    tensor: PositiveCount = Field(1, description="Cards that share each layer.")
    pipeline: PositiveCount = Field(1, description="Groups of cards that layers are dealt out to.")
    expert: PositiveCount = Field(
        1,
        description="Cards, among those of `tensor` and `data`, that the experts of a layer are "
        "dealt out to.",
    )
    data: PositiveCount = Field(
        1,
        description="Engines of the replica, each with requests of its own. `max_batch`, "
        "`kv_tokens`, `token_budget` and `parameters` of the profile are those of one engine.",
    )

    def to_domain(self) -> Parallelism:
        """Return the degrees."""
        return Parallelism(self.tensor, self.pipeline, self.expert, self.data)


class DisaggregatedEntry(StrictModel):
    """How replicas of this profile decode for others that compute the prompts."""

    prefill_configuration: Name | None = Field(
        None,
        description="Configuration of the prefill replicas, of the same model on the same "
        "accelerator; that of the profile itself, where left out.",
    )
    prefill_router: RouterName = Field(
        "round-robin", description="How a request finds its prefill replica."
    )
    decode_router: RouterName = Field(
        "shortest-queue", description="How it finds its decode replica."
    )
    transfer_ms: Amount = Field(0.0, description="Time of a transfer of KV, whatever its size.")
    transfer_ms_per_token: Amount = Field(0.0, description="Further time for each input token.")

    def to_domain(self) -> Disaggregation:
        """Return how the pools work together."""
        return Disaggregation(
            self.prefill_configuration,
            _ROUTERS[self.prefill_router],
            _ROUTERS[self.decode_router],
            self.transfer_ms,
            self.transfer_ms_per_token,
        )


class SliceEntry(StrictModel):
    """A part of a card of the accelerator's `card_type`; one of the two is told."""

    sevenths: Literal[1, 2, 3, 4, 7] | None = Field(
        None, description="Compute slices of a MIG instance, of the seven of a card."
    )
    parts: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        None, description="Equal parts that the card is cut into, this being one of them."
    )

    def to_domain(self) -> Slice:
        """Return the slice."""
        return Slice(self.sevenths or 0, self.parts or 0)


def slice_document(item: Slice | None) -> dict[str, object] | None:
    """Return a slice as `SliceEntry` reads it."""
    if item is None:
        return None
    return {"sevenths": item.sevenths} if item.sevenths else {"parts": item.parts}


def parallel_document(parallel: Parallelism | None) -> dict[str, object] | None:
    """Return degrees as `ParallelEntry` reads them; at least one of them is told."""
    if parallel is None:
        return None
    degrees = {
        "tensor": parallel.tensor,
        "pipeline": parallel.pipeline,
        "expert": parallel.expert,
        "data": parallel.data,
    }
    return {name: n for name, n in degrees.items() if n != 1} or {"tensor": 1}


def disaggregated_document(how: Disaggregation | None) -> dict[str, object] | None:
    """Return how pools work together as `DisaggregatedEntry` reads it, without its defaults."""
    if how is None:
        return None
    default = Disaggregation()
    document: dict[str, object] = {}
    if how.prefill_configuration is not None:
        document["prefill_configuration"] = how.prefill_configuration
    for key in ("prefill_router", "decode_router"):
        router: Router = getattr(how, key)
        if router is not getattr(default, key):
            document[key] = router.label
    for key in ("transfer_ms", "transfer_ms_per_token"):
        time: float = getattr(how, key)
        if time:
            document[key] = int(time) if time == int(time) else time
    return document
