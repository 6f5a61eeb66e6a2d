"""Work with a deadline: how much is left, at what rate it must go, and what the others leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.names import unused_name
from stoker.domain.control.choices import ClassKind
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import ServerControl
from stoker.domain.control.signals import SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.workload import Load

HEADROOM = 1.1
"""Work is planned to go this much faster than it must."""

_LONGEST_GAP_S = 120.0
_SHORTEST_S = 60.0


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far the work of a batch server is done.

    Attributes:
        backlog_tokens: Output tokens to do, as the document says.
        deadline: Until when, in seconds since the epoch.
        at: When it was last looked at, in seconds since the epoch.
        done_tokens: Output tokens done since the document said so.
        missed: Whether work was left when the deadline had come.
    """

    backlog_tokens: float
    deadline: float
    at: float
    done_tokens: float = 0.0
    missed: bool = False

    @property
    def left_tokens(self) -> float:
        """Output tokens still to do."""
        return max(0.0, self.backlog_tokens - self.done_tokens)


def is_batch(control: ServerControl | None) -> bool:
    """Return whether a server has tokens to do by a deadline."""
    return (
        control is not None
        and control.kind is ClassKind.BATCH
        and control.backlog_tokens is not None
        and control.deadline is not None
    )


def progress(
    before: BatchProgress | None, control: ServerControl, seen: ServerObservation, at: float
) -> BatchProgress | None:
    """Return how far the work is done by now; None for a server that has none.

    Another backlog or deadline in the document begins anew. What was done while nobody measured it
    counts as not done: work is rather finished early than late.
    """
    if not is_batch(control) or control.backlog_tokens is None or control.deadline is None:
        return None
    told = (control.backlog_tokens, control.deadline)
    if before is None or (before.backlog_tokens, before.deadline) != told:
        late = at >= control.deadline and control.backlog_tokens > 0
        return BatchProgress(*told, at, missed=late)
    rate = seen.usable(SignalName.COMPLETION_RATE)
    tokens = seen.usable(SignalName.OUTPUT_TOKENS)
    passed_s = at - before.at
    if passed_s <= 0:
        return before
    done = 0.0
    if rate is not None and tokens is not None:
        done = rate * tokens * min(passed_s, _LONGEST_GAP_S)
    after = replace(before, at=at, done_tokens=before.done_tokens + done)
    return replace(after, missed=after.missed or (at >= after.deadline and after.left_tokens > 0))


def with_sizes(load: Load, document: Load | None) -> Load:
    """Return a load with the sizes of requests of the document, where none were measured yet."""
    if load.output_tokens > 0 or document is None:
        return load
    return replace(
        document, arrival_rate_rps=load.arrival_rate_rps, throughput_rps=load.throughput_rps
    )


def deadline_load(work: BatchProgress, load: Load, startup_s: float) -> Load | None:
    """Return the load that keeps the deadline; None where no work is left, or its size is unknown.

    rate = tokens left / output tokens of a request / time left, with some headroom. The time ends
    before the deadline by what new replicas take to start, so that there is time to make up for
    what goes slower than planned. Late work is to be done as soon as new replicas could do it.

    Args:
        work: What is left.
        load: What is measured, for the sizes of requests.
        startup_s: Time that new replicas take to start.
    """
    if work.left_tokens <= 0 or load.output_tokens <= 0:
        return None
    left_s = max(work.deadline - startup_s - work.at, startup_s, _SHORTEST_S)
    rate = HEADROOM * work.left_tokens / load.output_tokens / left_s
    return replace(load, arrival_rate_rps=rate)


def behind_the_others(fleet: Fleet, controls: Mapping[str, ServerControl]) -> Fleet:
    """Return the fleet with its batch servers in classes of their own, after all others.

    What a class promises stays; it is only served when the others are.
    """
    own = {name: stands_in for stands_in, name in classes_behind(fleet, controls).items()}
    if not own:
        return fleet
    batch = {each.name for each in fleet.servers if is_batch(controls.get(each.name))}
    classes = {each.name: each for each in fleet.service_classes}
    last = max(each.priority for each in fleet.service_classes) + 1
    return replace(
        fleet,
        service_classes=(
            *fleet.service_classes,
            *(replace(classes[name], name=own[name], priority=last) for name in own),
        ),
        servers=tuple(
            replace(each, service_class=own.get(each.service_class, each.service_class))
            if each.name in batch
            else each
            for each in fleet.servers
        ),
    )


def classes_behind(fleet: Fleet, controls: Mapping[str, ServerControl]) -> dict[str, str]:
    """Return the classes of `behind_the_others`, each with the one that it stands in for."""
    taken = {each.name for each in fleet.service_classes}
    moved = {each.service_class for each in fleet.servers if is_batch(controls.get(each.name))}
    found: dict[str, str] = {}
    for name in sorted(moved & taken):
        stands_in = unused_name(f"{name} (batch)", taken | found.keys())
        found[stands_in] = name
    return found
