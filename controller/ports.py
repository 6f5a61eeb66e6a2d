"""What the loop needs of the world: clocks, eyes, hands, memory; each a Protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stoker.domain.control.changes import ChangeResult, Decisions, Notice, VariantTarget
from stoker.domain.control.observation import Observation
from stoker.domain.fleet import Fleet

Permit = Callable[[], str]
"""Says why nothing may be written any more; empty while it may."""


def always() -> str:
    """Permit everything."""
    return ""


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

    def apply(
        self, targets: Sequence[VariantTarget], *, dry_run: bool, permit: Permit = always
    ) -> tuple[ChangeResult, ...]:
        """Bring each workload to its target, and tell what came of each, in the same order.

        Never raises because of the world: a refusal is a result. `permit` is asked just before
        each write: a loop that stood still meanwhile may lead no more.
        """
        ...


class Lock(Protocol):
    """Says which of several loops may act."""

    @property
    def problem(self) -> str:
        """Why it cannot take part in the election; empty where it can."""
        ...

    def holds(self) -> bool:
        """Return whether this loop is the leader now, for certain."""
        ...


class Announcer(Protocol):
    """Tells the cluster what was decided and what befell, where people look for it."""

    @property
    def problem(self) -> str:
        """Why nothing can be told; empty where it can."""
        ...

    def announce(
        self, decisions: Decisions, results: Sequence[ChangeResult], notices: Sequence[Notice]
    ) -> None:
        """Write events, those too that could not be written before.

        Never raises because of the world: what cannot be written is kept, and `problem` says why.
        """
        ...
