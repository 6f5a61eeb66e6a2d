"""The faults of what is planned with: cards, nodes, time for the solver, profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from demos.cluster.closed_loop import NAMESPACE
from tests.support.broken_fleet import CARDS, CHAT, PERIOD_S, REPLICAS, SEARCH
from tests.support.broken_world import BrokenWorld
from tests.support.fault_campaign import Fault, Record, acted, as_ever
from tests.support.fault_words import held_metric, holds, problem, problem_metric
from tests.support.real_cluster import deployment

_OTHERS = "others"
_OTHER_CARD = "L4"
_H100 = "NVIDIA-H100-80GB-HBM3"


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
        holds("no_capacity"),
        "no_capacity",
        held_metric("no_capacity"),
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
        problem("found no node"),
        "found no node",
        problem_metric("unscheduled"),
        "Degraded: chat: unscheduled",
        answerable=_all_placed,
        as_ever=lambda record: not problem("found no node")(record),
        meanwhile=REPLICAS[CHAT] + 1,
        late=True,
        pace_s=PERIOD_S,
    ),
)


_PAIR, _ON_PAIRS = "2xH100", "search-on-pairs"
_WANTED = CARDS // 2
"""Replicas of the other server on pairs that leave no H100 to the suffering one."""


def _rivals(fleet: dict[str, Any]) -> None:
    """Let the other server be cheapest on pairs of H100s, which the suffering one needs, too."""
    fleet["accelerators"][1]["cost_per_hour"] = 100
    pair = {"name": _PAIR, "card_type": "H100", "cards": 2, "cost_per_hour": 6, "memory_gb": 160}
    fleet["accelerators"].append(pair)
    fleet["profiles"].append({**fleet["profiles"][1], "accelerator": _PAIR})


def _more_of_the_other(control: dict[str, Any]) -> None:
    control["servers"][1]["min_replicas"] = _WANTED


def _more_in_no_time(control: dict[str, Any]) -> None:
    _more_of_the_other(control)
    # A dip of its measured rate would keep the other one from moving: then nothing is searched for,
    # and there is a plan. A wrong shrink of the suffering one, to less than half, is larger still.
    control.setdefault("stability", {})["hysteresis"] = 0.5
    control["loop"]["solver_time_limit_s"] = 1e-6


def _sees_pairs(record: Record) -> bool:
    """Whether the loop knows that the other server could go to pairs."""
    workloads = record["cluster"]["workloads"]
    return any(each["workload"].endswith(f"/{_ON_PAIRS}") for each in workloads)


def _no_time(world: BrokenWorld) -> None:
    """Ask for a plan that takes a search, and leave no time for one.

    Asked at once: what the other server has to grow by is bought where it is by the first plan that
    there is time for, and then nothing is left to search for.
    """
    labels = {
        "stoker.dev/managed": "true",
        "stoker.dev/server": SEARCH,
        "stoker.dev/accelerator": _PAIR,
    }
    body = deployment(_ON_PAIRS, replicas=0, gpus=2, product=_H100, labels=labels)
    world.apps.create_namespaced_deployment(NAMESPACE, body)
    world.spoil_fleet = _rivals
    world.write(REPLICAS[CHAT])
    world.until(_sees_pairs)
    world.spoil_control = _more_in_no_time
    world.write(REPLICAS[CHAT])


def _time_again(world: BrokenWorld) -> None:
    """Leave the solver its time; what is asked of it stays as hard as it was."""
    world.spoil_control = _more_of_the_other
    world.write(1)


def _no_rivals(world: BrokenWorld) -> None:
    world.spoil_fleet = world.spoil_control = lambda _: None
    world.write(REPLICAS[CHAT])
    world.apps.delete_namespaced_deployment(_ON_PAIRS, NAMESPACE)


def _searched(record: Record) -> bool:
    """Whether both got what a search finds: the other one stays where it is, and is to grow."""
    wanted = record["servers"][SEARCH]["decision"]["wanted_replicas"]
    return as_ever(record) and wanted == _WANTED


def _no_profile(world: BrokenWorld) -> None:
    def spoil(fleet: dict[str, Any]) -> None:
        fleet["profiles"][0]["accelerator"] = _OTHER_CARD

    world.spoil_fleet = spoil
    world.write(REPLICAS[CHAT])


def _unspoiled(world: BrokenWorld) -> None:
    world.spoil_fleet = lambda _: None
    world.write(1)


PLANNING = (
    Fault(
        "the solver runs out of time (two servers compete for cards; its limit is a microsecond)",
        _no_time,
        _time_again,
        holds("no_plan"),
        "no_plan",
        held_metric("no_plan"),
        "Degraded: chat: no_plan",
        kind=problem_metric("no_plan"),
        as_ever=_searched,
        on_load=True,
        beside=False,
        clear=_no_rivals,
    ),
    Fault(
        "a model without a profile",
        _no_profile,
        _unspoiled,
        holds("no_profile"),
        "no_profile",
        held_metric("no_profile"),
        "Degraded: chat: no_profile",
    ),
)
