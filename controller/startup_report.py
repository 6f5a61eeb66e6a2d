"""What the loop takes for the start-up time of each model on each accelerator, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.startups import StartupTimes
from stoker.domain.control.cluster import VariantState
from stoker.domain.fleet import Fleet


@dataclass(frozen=True, slots=True)
class StartupReport:
    """The start-up time of a model on an accelerator.

    Attributes:
        model: The model.
        accelerator: The accelerator configuration.
        servers: Names of the servers with a workload of both.
        seconds: The time that is planned with.
        starts: Starts that it was learned from, the last ones; 0 where the document tells it.
        too_long: Starts that took longer than the longest that counts.
    """

    model: str
    accelerator: str
    servers: tuple[str, ...]
    seconds: float
    starts: int
    too_long: int

    @property
    def origin(self) -> str:
        """``learned``, or ``told`` by the document."""
        return "learned" if self.starts else "told"


def startup_reports(
    fleet: Fleet,
    variants: Mapping[str, tuple[VariantState, ...]],
    startups: StartupTimes,
    told_s: float,
) -> tuple[StartupReport, ...]:
    """Return the start-up times of all pairs that a workload runs, or that were learned.

    Args:
        fleet: The fleet.
        variants: Workloads that can be managed, by server.
        startups: What was learned.
        told_s: What the document tells for all others.
    """
    servers: dict[tuple[str, str], tuple[str, ...]] = dict.fromkeys(startups.seconds, ())
    for server in fleet.servers:
        for accelerator in sorted({each.accelerator for each in variants.get(server.name, ())}):
            pair = (server.model, accelerator)
            servers[pair] = (*servers.get(pair, ()), server.name)
    return tuple(
        StartupReport(
            *pair,
            names,
            startups.expected_s(*pair, told_s),
            len(startups.seconds.get(pair, ())),
            startups.too_long.get(pair, 0),
        )
        for pair, names in sorted(servers.items())
    )
