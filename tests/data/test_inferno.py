"""Inferno's format: what a system means, as a fleet."""

from typing import Any

import pytest

from data.fleets import parse_fleet
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from stoker.domain.server import Allocation
from stoker.domain.settings import INFERNO_RULES, SaturationPolicy, SolverKind
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.inferno_systems import (
    SYSTEM,
    Json,
    problems_of,
    system,
)


class TestReading:
    def test_money_rates_and_unknowns(self) -> None:
        fleet = parse_fleet(system())
        (accelerator,) = fleet.accelerators
        assert accelerator.cost_per_hour == 1.1235
        assert (accelerator.card_type, accelerator.cards) == ("A", 2)
        assert fleet.rules == INFERNO_RULES
        assert fleet.currency == "USD"
        one, two, three = fleet.servers
        assert one.load == Load(1.01, 128.0, 512.0)
        assert one.current is None
        assert (one.max_batch, one.max_queue) == (None, None)
        assert two.current == Allocation("2xA", 2, 8, 6.741, 25.0, 300.0)
        assert two.load == Load(0.0, 1.0, 1.0, throughput_rps=0.2)
        assert two.keep_accelerator
        assert (two.min_replicas, two.max_batch, two.max_queue) == (2, 8, 50)
        assert three.load is None

    def test_both_generations_of_parameters(self) -> None:
        first, second = parse_fleet(system()).profiles
        assert first.parameters == TokenWorkParameters(20, 0.4, 0.01)
        assert first.accelerators_per_replica == 1
        assert second.parameters == LinearParameters(20, 0.4, 5, 0)
        assert second.accelerators_per_replica == 3

    def test_zero_or_absent_targets_promise_nothing(self) -> None:
        gold = parse_fleet(system()).service_classes[0]
        assert gold.targets == (SloTarget("m", 1000.0, 40.0), SloTarget("n", tps=2000.0))

    def test_the_default_class_exists_where_a_server_uses_it(self) -> None:
        fleet = parse_fleet(system())
        assert fleet.servers[1].service_class == "Free"
        assert fleet.service_classes[-1] == ServiceClass("Free", 100)
        document = system()
        document["system"]["serverData"]["servers"][1]["class"] = "Gold"
        assert len(parse_fleet(document).service_classes) == 1

    @pytest.mark.parametrize(
        ("flags", "solver"),
        [
            ({}, None),
            ({"milpSolver": False}, SolverKind.GREEDY),
            ({"milpsolver": True}, SolverKind.MILP),
        ],
    )
    def test_the_solver_is_open_unless_told(self, flags: Json, solver: SolverKind | None) -> None:
        document = system()
        document["system"]["optimizerData"]["optimizer"] = flags
        assert parse_fleet(document).settings.solver is solver

    @pytest.mark.parametrize("name", ["priorityexhaustive", "PRIORITYEXHAUSTIVE"])
    def test_policies_and_backend(self, name: str) -> None:
        document = system()
        document["system"]["optimizerData"]["optimizer"] = {
            "SaturationPolicy": name,
            "useCplex": True,
            "delayedbesteffort": True,
        }
        flags = parse_fleet(document).settings
        assert flags.saturation_policy is SaturationPolicy.PRIORITY_EXHAUSTIVE
        assert flags.backend == "CPLEX"
        assert flags.delayed_best_effort

    def test_keys_in_any_case(self) -> None:
        def shout(value: Any) -> Any:
            if isinstance(value, dict):
                return {key.upper(): shout(item) for key, item in value.items()}
            return [shout(item) for item in value] if isinstance(value, list) else value

        assert parse_fleet(shout(SYSTEM)) == parse_fleet(SYSTEM)

    def test_loose_ends_that_the_reference_plans_around(self) -> None:
        document = system()
        content = document["system"]
        content["modelData"]["models"][0]["acc"] = "gone"
        content["modelData"]["models"][1]["decodeParms"] = {"alpha": 0, "beta": 0}
        content["modelData"]["models"][1]["prefillParms"] = {"gamma": 0, "delta": 0}
        content["serviceClassData"]["serviceClasses"][0]["modelTargets"].append({"model": "o"})
        content["serverData"]["servers"][0]["model"] = "o"
        content["serverData"]["servers"][1]["currentAlloc"]["accelerator"] = "gone"
        fleet = parse_fleet(document)
        assert fleet.servers[0].model == "o"
        assert fleet.servers[1].current is not None
        assert fleet.servers[1].current.accelerator == "gone"

    def test_nulls_and_keys_of_older_versions_are_passed_over(self) -> None:
        document = system()
        content = document["system"]
        content["acceleratorData"]["accelerators"][0]["power"] = None
        content["serverData"]["servers"][2]["currentAlloc"] = None
        content["serverData"]["servers"][1]["currentAlloc"]["waitAverage"] = 3
        content["serviceClassData"]["serviceClasses"][0]["modelTargets"][0]["slo-ttw"] = 0
        fleet = parse_fleet(document)
        assert fleet.accelerators[0].power is None
        assert fleet.servers[2].load is None
        content["serviceClassData"]["serviceClasses"][0]["modelTargets"][0]["slo-ttw"] = 500
        assert problems_of(document)[0].path.endswith("modelTargets[0].slo-ttw")
