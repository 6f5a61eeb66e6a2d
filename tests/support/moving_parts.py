"""Eyes that are told the load, and hands in which a loop dies, for a server that moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from actuator.kubernetes.scaling import Scaler
from collector.observer import FleetObserver
from controller.ports import Permit, always
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, VariantTarget
from stoker.domain.control.observation import Observation, ServerObservation
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Fleet


@dataclass
class Told:
    """Eyes that see the real cluster, and the load that they are told."""

    eyes: FleetObserver
    signals: dict[SignalName, Signal]

    def observe(self, fleet: Fleet, deadline: float) -> Observation:
        seen = self.eyes.observe(fleet, deadline)
        return replace(seen, servers={"chat": ServerObservation("chat", self.signals)})


class Crash(BaseException):
    """The loop dies at once: nothing catches it, and nothing is written down any more."""


@dataclass
class TouchyHands:
    """Hands before which somebody else acts once, or in which the loop dies.

    Attributes:
        hands: The real ones.
        meddle: What somebody else does before the next write; None for nothing.
        deadly: Whether the loop dies before each write, and after it once more.
        written: Replicas that were written, by name of the workload, the oldest first.
        died: Writes before and after which the loop has died.
    """

    hands: Scaler
    meddle: Callable[[], None] | None = None
    deadly: bool = False
    written: list[tuple[str, int]] = field(default_factory=list)
    died: list[tuple[str, str, int]] = field(default_factory=list)

    def apply(
        self, targets: Sequence[VariantTarget], *, dry_run: bool, permit: Permit = always
    ) -> tuple[ChangeResult, ...]:
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return tuple(self._one(each, permit, dry_run=dry_run) for each in targets)

    def _one(self, target: VariantTarget, permit: Permit, *, dry_run: bool) -> ChangeResult:
        self._die("before", target)
        (result,) = self.hands.apply([target], dry_run=dry_run, permit=permit)
        if result.outcome is ChangeOutcome.APPLIED:
            self.written.append((target.ref.name, target.replicas))
            self._die("after", target)
        return result

    def _die(self, when: str, target: VariantTarget) -> None:
        place = (when, target.ref.name, target.replicas)
        if self.deadly and place not in self.died:
            self.died.append(place)
            raise Crash
