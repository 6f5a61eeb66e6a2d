"""A plan that takes a search and is given no time for one: there is no plan, and it says so."""

from __future__ import annotations

from controller.planning import plan_now
from data.fleets import parse_fleet
from stoker.domain.workload import Load
from tests.support.broken_fleet import fleet_document


def test_no_plan_is_made_where_the_search_has_no_time() -> None:
    document = fleet_document()
    cards = [each["name"] for each in document["accelerators"]]
    document["profiles"] = [
        {**each, "accelerator": card} for each in document["profiles"] for card in cards
    ]
    document["capacity"] = {"H100": 6, "L4": 5}
    document["servers"][0]["min_replicas"] = 5
    fleet = parse_fleet(document)
    loads = {each.name: Load(54.0, 50.0, 15.0) for each in fleet.servers}
    assert plan_now(fleet, loads, None, {}, 60.0).plan is not None
    planned = plan_now(fleet, loads, None, {}, 1e-6)
    assert planned.plan is None
    assert "no plan was found within 1e-06 s" in (planned.failure or "")
