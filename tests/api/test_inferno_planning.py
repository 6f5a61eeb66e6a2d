"""Inferno verbs that plan: flags, strictness, and the way from desired to current."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import examples
from data.inferno import parse_system, system_to_fleet
from optimizer.planner import plan_fleet
from stoker.domain.allocation import MixPart
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from tests.support.rest import rest_client, upper_keys

Client = TestClient[Litestar]
Json = dict[str, Any]

NAME = "Premium-granite_13b"


def system(cards: int = 64, **flags: object) -> Json:
    document: Json = deepcopy(examples.SYSTEM)
    document["system"]["capacityData"]["count"][0]["count"] = cards
    document["system"]["optimizerData"]["optimizer"] = flags
    return document


def fill(client: Client, document: Json) -> None:
    parts = document["system"]
    for path, part in [
        ("/setAccelerators", "acceleratorData"),
        ("/setCapacities", "capacityData"),
        ("/setModels", "modelData"),
        ("/setServiceClasses", "serviceClassData"),
        ("/setServers", "serverData"),
    ]:
        assert client.post(path, json=parts[part]).status_code == 200


class Recorder:
    """Plans, and remembers the settings it was given."""

    def __init__(self) -> None:
        self.settings: list[OptimizerSettings] = []

    def __call__(self, fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        self.settings.append(settings)
        return plan_fleet(fleet, settings)


def test_one_request_plans_a_whole_system(stateless: Client) -> None:
    answer = stateless.post("/optimizeOne", json=system())
    assert answer.status_code == 200
    assert set(answer.json()) == {"allocations"}
    allocation = answer.json()["allocations"][NAME]
    assert allocation["accelerator"] == "A100"
    assert allocation["numReplicas"] == 3
    assert allocation["maxBatch"] == 64
    assert allocation["cost"] == pytest.approx(120)
    assert allocation["load"] == {
        "arrivalRate": 240,
        "throughput": 0,
        "avgInTokens": 128,
        "avgOutTokens": 512,
    }


def test_keys_of_a_system_match_in_any_case(stateless: Client) -> None:
    plain = stateless.post("/optimizeOne", json=system()).json()
    assert stateless.post("/optimizeOne", json=upper_keys(system())).json() == plain


def test_the_system_of_a_request_replaces_the_stored_one(stateful: Client) -> None:
    stateful.post("/setCapacity", json={"type": "H100", "count": 8})
    stateful.post("/optimizeOne", json=system())
    assert stateful.get("/getCapacities").json() == {"count": [{"type": "A100", "count": 64}]}
    server = stateful.get(f"/getServer/{NAME}").json()
    assert server["desiredAlloc"]["numReplicas"] == 3


def test_a_refused_system_leaves_the_stored_one(stateful: Client) -> None:
    stateful.post("/optimizeOne", json=system())
    broken = system()
    broken["system"]["capacityData"] = {"count": [{"type": "A100", "count": -1}]}
    assert stateful.post("/optimizeOne", json=broken).status_code == 400
    assert stateful.get("/getCapacity/A100").json()["count"] == 64


@pytest.mark.parametrize("wrapped", [False, True])
def test_flags_stand_bare_or_wrapped(wrapped: bool) -> None:
    recorder = Recorder()
    flags: Json = {
        "UNLIMITED": False,
        "milpsolver": True,
        "delayedBestEffort": True,
        "saturationpolicy": "RoundRobin",
    }
    with rest_client(stateful=True, planner=recorder) as client:
        fill(client, system())
        answer = client.post("/optimize", json={"Optimizer": flags} if wrapped else flags)
    assert answer.status_code == 200
    (settings,) = recorder.settings
    assert settings.solver is SolverKind.MILP
    assert settings.delayed_best_effort
    assert settings.saturation_policy is SaturationPolicy.ROUND_ROBIN


def test_absent_flags_mean_greedy() -> None:
    recorder = Recorder()
    with rest_client(stateful=True, planner=recorder) as client:
        client.post("/optimizeOne", json=system())
        client.post("/optimize", json={})
    assert [settings.solver for settings in recorder.settings] == [SolverKind.GREEDY] * 2


def test_the_time_limit_of_the_service_holds() -> None:
    recorder = Recorder()
    with rest_client(planner=recorder, time_limit_s=7.0) as client:
        client.post("/optimizeOne", json=system())
        client.post("/v1/plan", json=examples.FLEET, params={"time_limit_s": 3})
        client.post("/v1/plan", json=examples.FLEET, params={"time_limit_s": 300})
    assert [settings.time_limit_s for settings in recorder.settings] == [7.0, 3.0, 7.0]


def test_cplex_where_it_is_absent_is_a_clear_refusal(stateful: Client) -> None:
    for answer in (
        stateful.post("/optimizeOne", json=system(milpSolver=True, useCplex=True)),
        stateful.post("/optimize", json={"milpSolver": True, "useCplex": True}),
    ):
        assert answer.status_code == 400
        assert "CPLEX" in answer.json()["message"]


def test_cplex_is_not_needed_by_greedy(stateful: Client) -> None:
    assert stateful.post("/optimizeOne", json=system(useCplex=True)).status_code == 200


def test_unplaced_servers_are_told_with_reasons(stateless: Client) -> None:
    answer = stateless.post("/optimizeOne", json=system(cards=2))
    assert answer.status_code == 200
    assert answer.json()["allocations"] == {}
    unplaced = answer.json()["unplaced"][NAME]
    assert unplaced["reason"] == "capacity"
    assert unplaced["detail"]
    assert unplaced["remedy"]


@pytest.mark.parametrize("strict", ["true", "True", "1"])
def test_strict_withholds_the_plan_as_the_reference_does(stateful: Client, strict: str) -> None:
    message = f"optimization error: no feasible allocation for servers: [{NAME}]"
    one = stateful.post("/optimizeOne", json=system(cards=2), params={"strict": strict})
    stored = stateful.post("/optimize", json={}, params={"strict": strict})
    for answer in (one, stored):
        assert (answer.status_code, answer.json()["message"]) == (404, message)
    assert "desiredAlloc" not in stateful.get(f"/getServer/{NAME}").json()


def test_strict_answers_a_complete_plan_as_ever(stateless: Client) -> None:
    lenient = stateless.post("/optimizeOne", json=system())
    strict = stateless.post("/optimizeOne", json=system(), params={"strict": "true"})
    assert (strict.status_code, strict.json()) == (200, lenient.json())


def test_strict_counts_best_effort_as_an_allocation(stateless: Client) -> None:
    answer = stateless.post(
        "/optimizeOne",
        json=system(cards=2, saturationPolicy="PriorityExhaustive"),
        params={"strict": "true"},
    )
    assert answer.status_code == 200
    assert answer.json()["allocations"][NAME]["numReplicas"] == 2
    assert answer.json()["unplaced"][NAME]["reason"] == "capacity"


def test_strict_is_true_or_false(stateless: Client) -> None:
    answer = stateless.post("/optimizeOne", json=system(), params={"strict": "maybe"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "path": "strict",
            "message": "'maybe' is neither true nor false",
            "allowed": "true or false",
        }
    ]


def test_optimizing_sets_what_is_desired_and_applying_makes_it_current(stateful: Client) -> None:
    fill(stateful, system())
    planned = stateful.post("/optimize", json={}).json()["allocations"][NAME]
    server = stateful.get(f"/getServer/{NAME}").json()
    assert server["desiredAlloc"] == planned
    assert server["currentAlloc"] == examples.SERVER["currentAlloc"]

    applied = stateful.get("/applyAllocation")
    assert (applied.status_code, applied.json()) == (200, "Done")
    server = stateful.get(f"/getServer/{NAME}").json()
    assert server["currentAlloc"] == planned
    assert server["currentAlloc"]["load"] == examples.SERVER["currentAlloc"]["load"]  # type: ignore[index]

    again = stateful.post("/optimize", json={}).json()["allocations"][NAME]
    assert again == planned


def test_applying_keeps_the_load_that_came_meanwhile(stateful: Client) -> None:
    fill(stateful, system())
    stateful.post("/optimize", json={})
    server = stateful.get(f"/getServer/{NAME}").json()
    server["currentAlloc"]["load"]["arrivalRate"] = 480
    stateful.post("/addServer", json=server)
    stateful.get("/applyAllocation")
    current = stateful.get(f"/getServer/{NAME}").json()["currentAlloc"]
    assert (current["numReplicas"], current["load"]["arrivalRate"]) == (3, 480)


def test_applying_takes_cards_from_a_server_that_got_nothing(stateful: Client) -> None:
    fill(stateful, system())
    stateful.post("/optimize", json={})
    stateful.get("/applyAllocation")
    stateful.post("/setCapacity", json={"type": "A100", "count": 0})
    assert NAME in stateful.post("/optimize", json={}).json()["unplaced"]
    stateful.get("/applyAllocation")
    current = stateful.get(f"/getServer/{NAME}").json()["currentAlloc"]
    assert (current["accelerator"], current["numReplicas"]) == ("", 0)
    assert current["load"]["arrivalRate"] == 240


def test_an_unknown_load_decides_nothing(stateful: Client) -> None:
    document = system()
    current = document["system"]["serverData"]["servers"][0]["currentAlloc"]
    current.update(accelerator="A100", numReplicas=2, maxBatch=64, cost=80, itlAverage=21.5)
    del current["load"]
    fill(stateful, document)
    answer = stateful.post("/optimize", json={}).json()
    assert answer["unplaced"][NAME]["reason"] == "load_unknown"
    before = stateful.get(f"/getServer/{NAME}").json()["currentAlloc"]
    stateful.get("/applyAllocation")
    assert stateful.get(f"/getServer/{NAME}").json()["currentAlloc"] == before
    assert before["numReplicas"] == 2
    assert before["itlAverage"] == 21.5


def test_applying_before_anything_was_desired_changes_nothing(stateful: Client) -> None:
    fill(stateful, system())
    before = stateful.get("/getServers").json()
    assert stateful.get("/applyAllocation").json() == "Done"
    assert stateful.get("/getServers").json() == before


def test_references_may_dangle_until_a_plan_is_asked_for(stateful: Client) -> None:
    stateful.post("/addServer", json=examples.SERVER)
    answer = stateful.post("/optimize", json={})
    assert answer.status_code == 409
    paths = [error["path"] for error in answer.json()["errors"]]
    assert paths == [
        "system.serverData.servers[0].class",
        "system.serverData.servers[0].model",
    ]
    fill(stateful, system())
    assert stateful.post("/optimize", json={}).status_code == 200


def test_desired_allocations_go_to_servers_that_still_exist() -> None:
    """Servers removed, replaced and added while a solve runs."""

    def disturbed(fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        disturb()
        return plan_fleet(fleet, settings)

    def disturb() -> None:
        client.get(f"/removeServer/{NAME}")
        client.post("/addServer", json={**examples.SERVER, "name": "other", "model": "llama"})
        client.post("/addServer", json={**examples.SERVER, "name": "new"})

    document = system()
    servers = document["system"]["serverData"]["servers"]
    servers += [{**examples.SERVER, "name": "other"}, {**examples.SERVER, "name": "kept"}]
    with rest_client(stateful=True, planner=disturbed) as client:
        fill(client, document)
        answer = client.post("/optimize", json={})
        shown = {server["name"]: server for server in client.get("/getServers").json()["servers"]}
    assert set(answer.json()["allocations"]) == {NAME, "other", "kept"}
    assert {name for name, server in shown.items() if "desiredAlloc" in server} == {"kept"}
    assert set(shown) == {"other", "kept", "new"}


def test_a_mix_of_accelerators_is_answered_with_its_parts() -> None:
    def mixed(fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        plan = plan_fleet(fleet, settings)
        allocation = plan.allocations[0]
        large = MixPart("A100", 2, 64, 0.8, 2, "A100", 1.5, 100.0, 30.0, 0.3, 0.0, 1.5)
        small = replace(large, accelerator="L4", replicas=1, cost_per_hour=0.2, cards=1)
        whole = replace(allocation, replicas=3, cost_per_hour=1.0, mix=(large, small))
        return replace(plan, allocations=(whole,))

    with rest_client(stateful=True, planner=mixed) as client:
        answer = client.post("/optimizeOne", json=system(milpSolver=True, heterogeneous=True))
        again = client.post("/optimize", json={"milpSolver": True, "heterogeneous": True})
        desired = client.get(f"/getServer/{NAME}").json()["desiredAlloc"]
        server = {**examples.SERVER, "currentAlloc": answer.json()["allocations"][NAME]}
        assert client.post("/addServer", json=server).status_code == 200
    assert answer.status_code == again.status_code == 200
    assert again.json() == answer.json()
    allocation = answer.json()["allocations"][NAME]
    parts = allocation.pop("mix")
    assert allocation == desired
    assert (allocation["accelerator"], allocation["numReplicas"], allocation["cost"]) == (
        "A100",
        3,
        100,
    )
    assert [(part["accelerator"], part["numReplicas"], part["cost"]) for part in parts] == [
        ("A100", 2, 80),
        ("L4", 1, 20),
    ]


def test_the_example_is_a_system_of_the_format() -> None:
    fleet = system_to_fleet(parse_system(examples.SYSTEM))
    assert [server.name for server in fleet.servers] == [NAME]
