"""What the loop needs of the world: clocks, eyes, hands, memory; each a Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stoker.domain.control.changes import ChangeResult, Decisions, VariantTarget
from stoker.domain.control.observation import Observation
from stoker.domain.fleet import Fleet


class Clock(Protocol):
    """Time, as the loop may know it."""

    def now(self) -> float:
        """Return the time of day, in seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return a time that never goes back, in seconds."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until somebody wakes the loop; return whether somebody did."""
        ...


class Observer(Protocol):
    """Looks at a running fleet."""

    def observe(self, fleet: Fleet, deadline: float) -> Observation:
        """Return what can be seen until `deadline` (monotonic); what cannot is unknown in it.

        Never raises because of the world: what does not answer is told in the observation.
        """
        ...


class Hands(Protocol):
    """Brings workloads to their targets."""

    def apply(self, targets: Sequence[VariantTarget], *, dry_run: bool) -> tuple[ChangeResult, ...]:
        """Bring each workload to its target, and tell what came of each, in the same order.

        Never raises because of the world: a refusal is a result.
        """
        ...


class Lock(Protocol):
    """Says which of several loops may act."""

    def holds(self) -> bool:
        """Return whether this loop is the leader now, for certain."""
        ...


class Announcer(Protocol):
    """Tells the cluster what was decided, where people look for it."""

    def announce(self, decisions: Decisions, results: Sequence[ChangeResult]) -> None:
        """Write events; failing to is told in the log alone."""
        ...
