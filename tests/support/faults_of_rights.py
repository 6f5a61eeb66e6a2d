"""The faults of rights: what RBAC takes from the account of the loop."""

from __future__ import annotations

from typing import Any

from tests.support.broken_fleet import CHAT, NEEDED, PERIOD_S, REPLICAS, SEARCH
from tests.support.broken_world import BrokenWorld
from tests.support.fault_campaign import Fault, acted, outcomes
from tests.support.fault_words import problem, problem_metric


class _Denied:
    """A rule of a role that is changed, and put back."""

    def __init__(self, role: str, resource: str, namespace: str = "") -> None:
        self._role = role
        self._resource = resource
        self._namespace = namespace
        self._before: Any = None

    def _read(self, world: BrokenWorld) -> Any:
        if self._namespace:
            return world.rbac.read_namespaced_role(self._role, self._namespace)
        return world.rbac.read_cluster_role(self._role)

    def _write(self, world: BrokenWorld, rules: list[Any]) -> None:
        role = self._read(world)
        role.rules = rules
        if self._namespace:
            world.rbac.replace_namespaced_role(self._role, self._namespace, role)
        else:
            world.rbac.replace_cluster_role(self._role, role)

    def begin(self, world: BrokenWorld) -> None:
        self._before = self._read(world).rules
        rules = []
        for rule in self._read(world).rules:
            if self._resource not in rule.resources:
                rules.append(rule)
                continue
            rule.resources = [each for each in rule.resources if each != self._resource]
            if rule.resources:
                rules.append(rule)
            if self._resource.endswith("/scale"):  # others may still be scaled
                rules.append(
                    {
                        "apiGroups": ["apps"],
                        "resources": [self._resource],
                        "verbs": ["get", "update"],
                        "resourceNames": [SEARCH],
                    }
                )
        self._write(world, rules)

    def begin_with_something_to_tell(self, world: BrokenWorld) -> None:
        self.begin(world)
        world.scale(SEARCH, NEEDED - 1)

    def end(self, world: BrokenWorld) -> None:
        self._write(world, self._before)


def _forbidden(name: str, denied: _Denied, **options: Any) -> Fault:
    return Fault(f"forbidden (RBAC): {name}", denied.begin, denied.end, **options)


_EVENTS = _Denied("stoker-act", "events")

RIGHTS = (
    _forbidden(
        "scaling one server's Deployment",
        _Denied("stoker-act", "deployments/scale"),
        told=lambda record: "forbidden" in outcomes(record),
        status="(forbidden)",
        metric='stoker_changes_total{outcome="forbidden"}',
        event="ScalingForbidden: chat",
        as_ever=acted,
        late=True,
    ),
    _forbidden(
        "reading nodes",
        _Denied("stoker-observe", "nodes"),
        told=lambda record: record["cluster"]["cards"] is None,
        status="nodes is forbidden",
        metric=problem_metric("cards_unknown"),
        event="Degraded: chat: cards_unknown",
        as_ever=lambda record: record["cluster"]["cards"] is not None,
        meanwhile=REPLICAS[CHAT],
        blind=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "forbidden (RBAC): writing Events",
        _EVENTS.begin_with_something_to_tell,
        _EVENTS.end,
        told=problem("events are not written"),
        status="events are not written",
        metric=problem_metric("events_refused"),
        event="Scaled: search: 1 to 2",
        as_ever=lambda record: not problem("events are not written")(record),
        meanwhile=REPLICAS[CHAT],
        late=True,
        blind=False,
        event_on=SEARCH,
    ),
    _forbidden(
        "renewing the Lease",
        _Denied("stoker-lease", "leases", "stoker"),
        told=lambda record: not record["leader"],
        status="Lease stoker/stoker: leases.coordination.k8s.io",
        metric=problem_metric("lease"),
        event="Recovered: chat",
        beside=False,
        answerable=lambda world: bool(world.holder()),
        pace_s=PERIOD_S,
    ),
)
