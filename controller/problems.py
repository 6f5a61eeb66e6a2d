"""Kinds of what goes wrong around a cycle, so that an alert can name it without reading words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from controller.cycle import CycleResult
from controller.places import doubled, doubled_words
from controller.world import variants_of
from stoker.domain.control.changes import HoldReason
from stoker.domain.control.configurations import configurations_of


class ProblemKind(StrEnum):
    """What went wrong."""

    DOCUMENT = "document"
    """A document is wrong: the last good one stays in force."""
    CYCLE_FAILED = "cycle_failed"
    """The cycle before ended in an error."""
    CYCLE_LATE = "cycle_late"
    """Something was to be changed when the cycle had taken longer than it may: nothing was."""
    CUT_OFF = "cut_off"
    """A cycle was cut off between plan and act."""
    UNSCHEDULED = "unscheduled"
    """New replicas find no node."""
    CARDS_UNKNOWN = "cards_unknown"
    """Nodes are not told."""
    STATE_UNKNOWN = "state_unknown"
    """The cluster does not tell what runs, or not lately."""
    NO_PLAN = "no_plan"
    LOAD_DISAGREES = "load_disagrees"
    """By Little's law more comes than is measured."""
    DEADLINE_MISSED = "deadline_missed"
    """Work was left when its deadline had come."""
    NOT_FOLLOWED = "not_followed"
    """Nobody brings a workload to the replicas that were emitted."""
    LEASE = "lease"
    """This loop cannot take part in the election."""
    EVENTS_REFUSED = "events_refused"
    """Events cannot be written."""
    OBSERVATION = "observation"
    """Prometheus or the cluster tell less than they should."""
    DECISION = "decision"
    """What the documents, the plan or the limits keep from being decided."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong.

    Attributes:
        kind: What.
        words: What, in words.
    """

    kind: ProblemKind
    words: str


def troubles_of(result: CycleResult) -> tuple[Trouble, ...]:
    """Return what the observation and the decisions of a cycle tell, as its record lists it."""
    return (
        *(Trouble(ProblemKind.OBSERVATION, each) for each in result.observation.problems),
        *(Trouble(ProblemKind.DECISION, each) for each in result.decisions.notes),
        *(Trouble(ProblemKind.DECISION, each) for each in _doubled(result)),
        *(Trouble(ProblemKind.NOT_FOLLOWED, each) for each in result.unfollowed),
    )


def _doubled(result: CycleResult) -> Iterator[str]:
    """Yield which servers have workloads that cannot be told apart."""
    fleet, variants = result.planned.fleet, variants_of(result.observation.cluster)
    configurations = configurations_of(fleet)
    for server in fleet.servers:
        twins = doubled(server, variants.get(server.name, ()), configurations)
        if twins:
            yield f"{server.name}: {doubled_words(twins)}"


def kinds_of(troubles: Iterable[Trouble], result: CycleResult) -> dict[str, int]:
    """Return how much went wrong of each kind, zeros too.

    Some of it has no words of its own in the list of problems: servers tell it, or the plan does.
    """
    found = {kind.value: 0 for kind in ProblemKind}
    for trouble in troubles:
        found[trouble.kind.value] += 1
    cluster = result.observation.cluster
    decided = result.decisions.servers.values()
    found[ProblemKind.CARDS_UNKNOWN] = int(cluster is not None and cluster.cards is None)
    found[ProblemKind.STATE_UNKNOWN] = int(
        cluster is None or any(HoldReason.STATE_UNKNOWN in each.held for each in decided)
    )
    found[ProblemKind.NO_PLAN] = int(bool(result.planned.failure))
    found[ProblemKind.LOAD_DISAGREES] = sum(bool(each.warning) for each in result.loads.values())
    found[ProblemKind.DEADLINE_MISSED] = sum(
        each.batch is not None and each.batch.missed for each in result.memory.servers.values()
    )
    return found
