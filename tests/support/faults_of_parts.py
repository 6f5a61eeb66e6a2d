"""The faults of the parts that the loop needs: Prometheus, pods, the API server, rights, cards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import kubernetes

from demos.cluster.closed_loop import NAMESPACE
from demos.cluster.processes import ServerProcess
from emulator.faults import FaultOrder
from tests.support.broken_world import CARDS, CHAT, NEEDED, PERIOD_S, REPLICAS, SEARCH, BrokenWorld
from tests.support.fault_campaign import PROBLEMS, Fault, Record, acted, held, outcomes
from tests.support.real_cluster import deployment

_OTHERS = "others"
_OTHER_CARD = "L4"
_H100 = "NVIDIA-H100-80GB-HBM3"


def _held_metric(reason: str) -> str:
    return f'stoker_server_held{{reason="{reason}",server="{CHAT}"}} 1.0'


def _holds(reason: str) -> Callable[[Record], bool]:
    return lambda record: reason in held(record)


def _problem(words: str) -> Callable[[Record], bool]:
    return lambda record: any(words in each for each in record["problems"])


def _server(process: ServerProcess | None) -> ServerProcess:
    assert process is not None
    return process


# Signals


def _restart_prometheus(world: BrokenWorld) -> None:
    _server(world.prometheus.server).start()
    world.prometheus.wait_ready()


def _silence(share: int) -> Callable[[BrokenWorld], None]:
    def begin(world: BrokenWorld) -> None:
        names = tuple(world.pods(CHAT)[:share])
        world.emulated.order(CHAT, FaultOrder({"drop_metrics": True}, replicas=names))

    return begin


def _speak(world: BrokenWorld) -> None:
    world.emulated.order(CHAT, FaultOrder({}, clear=True))


SIGNALS = (
    Fault(
        "Prometheus does not answer, its connections open (SIGSTOP)",
        lambda world: _server(world.prometheus.server).pause(),
        lambda world: _server(world.prometheus.server).resume(),
        _holds("load_unknown"),
        "load_unknown",
        _held_metric("load_unknown"),
        "Degraded: chat: load_unknown",
        answerable=BrokenWorld.scraped_whole,
        pace_s=PERIOD_S,
        beside=False,
    ),
    Fault(
        "Prometheus is gone (SIGKILL), and started again",
        lambda world: _server(world.prometheus.server).kill(),
        _restart_prometheus,
        _holds("load_unknown"),
        "load_unknown",
        _held_metric("load_unknown"),
        "Degraded: chat: load_unknown",
        answerable=BrokenWorld.scraped_whole,
        pace_s=PERIOD_S,
        beside=False,
    ),
    Fault(
        "stale metrics: no replica of a server answers scrapes any more",
        _silence(REPLICAS[CHAT]),
        _speak,
        _holds("load_unknown"),
        "its arrival rate is ",
        _held_metric("load_unknown"),
        "Degraded: chat: load_unknown",
        broken=lambda world: world.silent(CHAT) == REPLICAS[CHAT],
        answerable=BrokenWorld.scraped_whole,
        pace_s=PERIOD_S,
    ),
    Fault(
        "partial metrics: three of five replicas do not answer scrapes",
        _silence(3),
        _speak,
        lambda record: "replicas report" in record["servers"][CHAT]["load_reason"],
        "partial_reports",
        _held_metric("partial_reports"),
        "Degraded: chat: partial_reports",
        broken=lambda world: world.silent(CHAT) == 3,
        answerable=BrokenWorld.scraped_whole,
        pace_s=PERIOD_S,
    ),
)

# The API server


class _Rival:
    """Somebody else who keeps writing the suffering server's Deployment."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, world: BrokenWorld) -> None:
        world.detour.delay_s = 0.3  # so that somebody else writes between any read and its write
        self._ended.clear()
        self._thread = threading.Thread(target=self._write, args=(world,), daemon=True)
        self._thread.start()

    def end(self, world: BrokenWorld) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()
        world.detour.delay_s = 0.0

    def _write(self, world: BrokenWorld) -> None:
        apps: Any = kubernetes.client.AppsV1Api(world.plane.client())
        count = 0
        while not self._ended.wait(0.02):
            count += 1
            body = {"metadata": {"annotations": {"example.com/written": str(count)}}}
            apps.patch_namespaced_deployment(CHAT, NAMESPACE, body)


_RIVAL = _Rival()


def _slow(world: BrokenWorld) -> None:
    world.detour.delay_s = 2.0


def _fast(world: BrokenWorld) -> None:
    world.detour.delay_s = 0.0


_NO_LEAD = "stoker_leader 0.0"

API_SERVER = (
    Fault(
        "the API server does not answer (SIGSTOP)",
        lambda world: _server(world.plane.api_server).pause(),
        lambda world: _server(world.plane.api_server).resume(),
        _holds("state_unknown"),
        "state_unknown",
        _held_metric("state_unknown"),
        "Recovered: chat",
        beside=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "the API server is slow: each answer comes two seconds late",
        _slow,
        _fast,
        lambda record: not record["leader"],
        "Lease stoker/stoker: no answer",
        _NO_LEAD,
        "Recovered: chat",
        beside=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "conflicts: somebody else writes the Deployment between every read and write (HTTP 409)",
        _RIVAL.begin,
        _RIVAL.end,
        lambda record: "conflict" in outcomes(record),
        '"conflict"',
        'stoker_changes_total{outcome="conflict"}',
        "ScalingConflict: chat",
        as_ever=acted,
        late=True,
    ),
)

# Rights


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
        status='"forbidden"',
        metric='stoker_changes_total{outcome="forbidden"}',
        event="ScalingForbidden: chat",
        as_ever=acted,
        late=True,
    ),
    _forbidden(
        "reading nodes",
        _Denied("stoker-observe", "nodes"),
        told=lambda record: record["cluster"]["cards"] is None,
        status='"cards": null',
        metric=PROBLEMS,
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
        told=_problem("events are not written"),
        status="events are not written",
        metric=PROBLEMS,
        event="Scaled: search: 1 to 2",
        as_ever=lambda record: not _problem("events are not written")(record),
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
        metric=_NO_LEAD,
        event="Recovered: chat",
        beside=False,
        answerable=lambda world: bool(world.holder()),
        pace_s=PERIOD_S,
    ),
)

# Cards and nodes


def _take_cards(world: BrokenWorld) -> None:
    body = deployment(_OTHERS, replicas=CARDS - REPLICAS[CHAT], product=_H100)
    world.apps.create_namespaced_deployment(NAMESPACE, body)


def _give_cards(world: BrokenWorld) -> None:
    world.apps.delete_namespaced_deployment(_OTHERS, NAMESPACE)


def _cards_free(world: BrokenWorld) -> bool:
    found = world.core.list_namespaced_pod(NAMESPACE, label_selector=f"app={_OTHERS}")
    return not found.items


def _pods_of_node(count: int) -> Callable[[BrokenWorld], None]:
    def patch(world: BrokenWorld) -> None:
        status = {"status": {"allocatable": {"pods": str(count)}, "capacity": {"pods": str(count)}}}
        world.core.patch_node_status("node-h100", status)

    return patch


def _all_placed(world: BrokenWorld) -> bool:
    found = world.core.list_namespaced_pod(NAMESPACE, label_selector=f"app={CHAT}").items
    return all(each.spec.node_name for each in found)


def _grew_to(replicas: int) -> Callable[[Record], bool]:
    def grown(record: Record) -> bool:
        asked = {each["server"]: each["replicas_wanted"] for each in record["cluster"]["workloads"]}
        return asked[CHAT] == replicas or acted(record)

    return grown


CAPACITY = (
    Fault(
        "no capacity: others hold all cards that a server would grow to",
        _take_cards,
        _give_cards,
        _holds("no_capacity"),
        "no_capacity",
        _held_metric("no_capacity"),
        "Degraded: chat: no_capacity",
        answerable=_cards_free,
        as_ever=_grew_to(CARDS - 1),
        meanwhile=CARDS - 1,
        late=True,
        pace_s=PERIOD_S,
    ),
    Fault(
        "no capacity: new replicas find no node (unschedulable)",
        _pods_of_node(REPLICAS[CHAT]),
        _pods_of_node(1000),
        _problem("found no node"),
        "found no node",
        PROBLEMS,
        "Degraded: chat: unscheduled",
        answerable=_all_placed,
        as_ever=lambda record: not _problem("found no node")(record),
        meanwhile=REPLICAS[CHAT] + 1,
        late=True,
        pace_s=PERIOD_S,
    ),
)

# Planning


def _no_time(world: BrokenWorld) -> None:
    def spoil(control: dict[str, Any]) -> None:
        control["loop"]["solver_time_limit_s"] = 1e-6

    world.spoil_control = spoil
    world.write(REPLICAS[CHAT])


def _no_profile(world: BrokenWorld) -> None:
    def spoil(fleet: dict[str, Any]) -> None:
        fleet["profiles"][0]["accelerator"] = _OTHER_CARD

    world.spoil_fleet = spoil
    world.write(REPLICAS[CHAT])


def _unspoiled(world: BrokenWorld) -> None:
    world.spoil_fleet = world.spoil_control = lambda _: None
    world.write(1)


PLANNING = (
    Fault(
        "the solver runs out of time",
        _no_time,
        _unspoiled,
        _holds("no_plan"),
        "no_plan",
        _held_metric("no_plan"),
        "Degraded: chat: no_plan",
        beside=False,
    ),
    Fault(
        "a model without a profile",
        _no_profile,
        _unspoiled,
        _holds("no_profile"),
        "no_profile",
        _held_metric("no_profile"),
        "Degraded: chat: no_profile",
    ),
)

FAULTS = (*SIGNALS, *API_SERVER, *RIGHTS, *CAPACITY, *PLANNING)
