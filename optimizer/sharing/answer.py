"""What is decided about common replicas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SharedChoice:
    """Servers that a plan puts on common replicas.

    Attributes:
        members: Indices of the servers, ascending; the first one's allocation counts the replicas.
        profile: Index of the profile of the fleet.
        accelerator: Index of the accelerator of the fleet.
        configuration: Configuration of the model there; empty where it has no name.
        card_type: Type of its cards.
        group: Index of the sharing group of the fleet.
        replicas: Replicas in all.
        max_batch: Batch limit of a replica.
        max_queue: Queue limit of a replica.
        cards: Cards in all.
        cost_per_hour: Cost of all replicas.
        value: Cost of the change from what runs now for the members.
    """

    members: tuple[int, ...]
    profile: int
    accelerator: int
    configuration: str
    card_type: str
    group: int
    replicas: int
    max_batch: int
    max_queue: int
    cards: int
    cost_per_hour: float
    value: float
