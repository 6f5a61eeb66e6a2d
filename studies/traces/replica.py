"""One replica that a trace may be served by: its engine, and what an hour of it costs."""

from __future__ import annotations

from dataclasses import dataclass

from simulator import Engine
from stoker.domain.accelerator import Accelerator
from stoker.domain.profile import ModelProfile


@dataclass(frozen=True, slots=True)
class ReplicaOption:
    """A model on an accelerator.

    Attributes:
        profile: How fast it is.
        accelerator: What it runs on.
        max_batch: Batch limit.
    """

    profile: ModelProfile
    accelerator: Accelerator
    max_batch: int

    @property
    def name(self) -> str:
        """Model, accelerator and configuration, for messages."""
        return f"{self.profile.model} on {self.place}"

    @property
    def place(self) -> str:
        """Accelerator and configuration, for messages."""
        return f"{self.accelerator.name} {self.profile.configuration}".strip()

    @property
    def cost_per_hour(self) -> float:
        """Price of one replica, in the fleet's currency per hour."""
        return self.accelerator.cost_per_hour * self.profile.accelerators_per_replica

    @property
    def cards(self) -> int:
        """Cards of one replica."""
        return self.accelerator.cards * self.profile.accelerators_per_replica

    @property
    def engine(self) -> Engine:
        """The engine as the simulator plays it: nobody is turned away."""
        return Engine(
            self.profile.parameters,
            self.max_batch,
            token_budget=self.profile.token_budget,
            kv_tokens=self.profile.kv_tokens,
        )
