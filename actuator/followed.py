"""Which workloads autoscalers are to follow Stoker on, and within which bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actuator.manifests import FollowedWorkload, Follower
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server

_LONGEST_LABEL = 63


@dataclass(frozen=True, slots=True)
class ManagedWorkload:
    """A workload of a server.

    Attributes:
        ref: The object.
        server: Name of the server in the fleet.
        accelerator: Name of the accelerator in the fleet.
        min_replicas: Fewest replicas that its annotation allows; None for no such wish.
        max_replicas: Most replicas that its annotation allows; None for no such wish.
    """

    ref: WorkloadRef
    server: str
    accelerator: str
    min_replicas: int | None = None
    max_replicas: int | None = None


def named_workloads(settings: ControlSettings) -> tuple[ManagedWorkload, ...]:
    """Return the workloads that the control document names."""
    return tuple(
        ManagedWorkload(ref, name, accelerator)
        for name, control in settings.servers.items()
        for accelerator, ref in control.workloads.items()
    )


def followed(
    workloads: Iterable[ManagedWorkload],
    fleet: Fleet,
    settings: ControlSettings,
    follower: Follower,
) -> tuple[tuple[FollowedWorkload, ...], tuple[str, ...]]:
    """Return the workloads that can be followed in the order of their names, and what cannot.

    Bounds are those of both documents and of annotations. Where nothing bounds a server from above
    its accelerator's cards do. A server with several workloads may have none of one of them, since
    it moves; that, and scaling to zero, is beyond an HPA.
    """
    found, problems = [], []
    each_once = sorted({each.ref: each for each in workloads}.values(), key=lambda each: each.ref)
    counts = Counter(each.server for each in each_once)
    servers = {each.name: each for each in fleet.servers}
    for workload in each_once:
        server = servers.get(workload.server)
        if server is None:
            problems.append(f"{workload.ref}: it serves no server of the fleet")
            continue
        control = settings.servers.get(server.name) or ServerControl(server.name)
        several = counts[server.name] > 1
        if follower is Follower.HPA and several:
            problems.append(
                f"{workload.ref}: {server.name} has {counts[server.name]} workloads, and an HPA "
                "cannot bring one to zero when it moves; use --for keda"
            )
            continue
        if follower is Follower.HPA and len(workload.ref.name) > _LONGEST_LABEL:
            problems.append(
                f"{workload.ref}: an HPA selects its metric by labels of at most "
                f"{_LONGEST_LABEL} characters; use --for keda"
            )
            continue
        most = _most(workload, server, control, fleet)
        if most is None:
            problems.append(
                f"{workload.ref}: nothing bounds its replicas; set max_replicas of {server.name}"
            )
            continue
        least = 0
        if not several and not control.scale_to_zero:
            least = max(
                1, *_given(server.min_replicas, control.min_replicas, workload.min_replicas)
            )
        if least > most:
            problems.append(f"{workload.ref}: at least {least} and at most {most} replicas")
            continue
        found.append(FollowedWorkload(workload.ref, least, most))
    return tuple(found), tuple(problems)


def _most(
    workload: ManagedWorkload, server: Server, control: ServerControl, fleet: Fleet
) -> int | None:
    bounds = _given(server.max_replicas, control.max_replicas, workload.max_replicas)
    if bounds:
        return min(bounds)
    accelerator = next((a for a in fleet.accelerators if a.name == workload.accelerator), None)
    if accelerator is None or accelerator.slice is not None or not accelerator.cards:
        return None
    cards = [item.count for item in fleet.capacity if item.card_type == accelerator.card_type]
    return cards[0] // accelerator.cards if cards and cards[0] >= accelerator.cards else None


def _given(*bounds: int | None) -> Sequence[int]:
    return [bound for bound in bounds if bound is not None]
