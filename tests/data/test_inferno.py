import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from data.fleets import parse_fleet, read_fleet
from data.inferno import (
    InfernoAccelerator,
    InfernoModelPerf,
    InfernoOptimizer,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoSystem,
    fleet_to_system,
    parse_one,
    parse_system,
    system_to_fleet,
    to_json,
)
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from stoker.domain.server import Allocation
from stoker.domain.settings import INFERNO_RULES, Analysis, SaturationPolicy, SolverKind
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.fleets import shared_fleets

Json = dict[str, Any]

SYSTEM: Json = {
    "system": {
        "acceleratorData": {
            "accelerators": [
                {
                    "name": "2xA",
                    "type": "A",
                    "multiplicity": 2,
                    "memSize": 160,
                    "memBW": 4000,
                    "power": {"idle": 100, "full": 800, "midPower": 500, "midUtil": 0.6},
                    "cost": 112.35,
                }
            ]
        },
        "capacityData": {"count": [{"type": "A", "count": 8}, {"type": "unused", "count": 1}]},
        "modelData": {
            "models": [
                {
                    "name": "m",
                    "acc": "2xA",
                    "accCount": 0,
                    "maxBatchSize": 32,
                    "atTokens": 512,
                    "perfParms": {"alpha": 20, "beta": 0.4, "gamma": 0.01},
                },
                {
                    "name": "n",
                    "acc": "2xA",
                    "accCount": 3,
                    "maxBatchSize": 16,
                    "atTokens": 256,
                    "decodeParms": {"alpha": 20, "beta": 0.4},
                    "prefillParms": {"gamma": 5, "delta": 0},
                },
            ]
        },
        "serviceClassData": {
            "serviceClasses": [
                {
                    "name": "Gold",
                    "priority": 1,
                    "modelTargets": [
                        {"model": "m", "slo-itl": 40, "slo-ttft": 1000, "slo-tps": 0},
                        {"model": "n", "slo-tps": 2000},
                    ],
                }
            ]
        },
        "serverData": {
            "servers": [
                {
                    "name": "one",
                    "class": "Gold",
                    "model": "m",
                    "currentAlloc": {
                        "accelerator": "",
                        "load": {"arrivalRate": 60.6, "avgInTokens": 128, "avgOutTokens": 512},
                    },
                },
                {
                    "name": "two",
                    "model": "n",
                    "keepAccelerator": True,
                    "minNumReplicas": 2,
                    "maxBatchSize": 8,
                    "maxQueueSize": 50,
                    "currentAlloc": {
                        "accelerator": "2xA",
                        "numReplicas": 2,
                        "maxBatch": 8,
                        "cost": 674.1,
                        "itlAverage": 25,
                        "ttftAverage": 300,
                        "load": {
                            "arrivalRate": 0,
                            "throughput": 12,
                            "avgInTokens": 1,
                            "avgOutTokens": 1,
                        },
                    },
                },
                {"name": "three", "class": "Gold", "model": "n"},
            ]
        },
        "optimizerData": {"optimizer": {"saturationPolicy": "RoundRobin", "milpSolver": False}},
    }
}


def system() -> Json:
    return copy.deepcopy(SYSTEM)


def problems_of(document: object) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInputError) as caught:
        parse_fleet(document, file="s.json")
    return caught.value.problems


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


def at(*path: str | int, to: object) -> Callable[[Json], None]:
    def apply(document: Json) -> None:
        here: Any = document["system"]
        for part in path[:-1]:
            here = here[part]
        here[path[-1]] = to

    return apply


MODEL = ("modelData", "models", 0)
SERVER = ("serverData", "servers", 0)
ACCELERATOR = ("acceleratorData", "accelerators", 0)
TARGETS = ("serviceClassData", "serviceClasses", 0, "modelTargets")


@pytest.mark.parametrize(
    ("spoil", "path", "message"),
    [
        (at(*SERVER, "model", to="x"), "servers[0].model", 'no model is called "x"'),
        (at(*SERVER, "class", to="gold"), "servers[0].class", 'did you mean "Gold"?'),
        (at(*SERVER, "name", to="two"), "servers[1].name", "first at"),
        (at(*SERVER, "minReplicas", to=1), "servers[0].minReplicas", 'mean "minNumReplicas"?'),
        (at(*SERVER, "MODEL", to="m"), "servers[0].model", "given twice"),
        (
            at(*SERVER, "currentAlloc", "load", to={"arrivalRate": 4}),
            "servers[0].currentAlloc.load.avgInTokens",
            "is missing",
        ),
        (at(*ACCELERATOR, "cost", to=-1), "accelerators[0].cost", "-1 is out of bounds"),
        (at(*ACCELERATOR, "cost", to=None), "accelerators[0].cost", "is missing"),
        (at(*ACCELERATOR, "multiplicity", to=0), "accelerators[0].multiplicity", "out of bounds"),
        (at(*ACCELERATOR, "memSize", to="80"), "accelerators[0].memSize", '"80" is not a number'),
        (at(*MODEL, "perfParms", to=None), "models[0]", "parameters are missing"),
        (at(*MODEL, "perfParms", to={"alpha": 1, "beta": 1}), "perfParms.gamma", "is missing"),
        (at(*MODEL, "decodeParms", to={"alpha": 1, "beta": 1}), "models[0]", "two service models"),
        (at("modelData", "models", 1, "prefillParms", to=None), "prefillParms", "is missing"),
        (at(*MODEL, "maxBatchSize", to=0), "models[0].maxBatchSize", "0 tells no batch limit"),
        (at(*MODEL, "maxBatchSize", to=None), "models[0].maxBatchSize", "is missing"),
        (at(*MODEL, "atTokens", to=0), "models[0].atTokens", "0 tells no batch limit"),
        (at(*MODEL, "atTokens", to=None), "models[0].atTokens", "is missing"),
        (at(*MODEL, "name", to="n"), "models[1]", 'the data of "n" on "2xA" is used twice'),
        (at(*TARGETS, 1, "model", to="m"), "modelTargets[1].model", "used twice"),
        (
            at("serviceClassData", "serviceClasses", 0, "priority", to=0),
            "serviceClasses[0].priority",
            "0 is out of bounds",
        ),
        (
            at("capacityData", "count", 1, "type", to="A"),
            "capacityData.count[1].type",
            "used twice",
        ),
        (
            at("optimizerData", "optimizer", "saturationPolicy", to="Best"),
            "optimizer.saturationPolicy",
            '"Best" is not one of the choices',
        ),
        (at("optimizerdata", to={}), "system.optimizerData", "given twice"),
    ],
)
def test_a_mistake_names_its_place(spoil: Callable[[Json], None], path: str, message: str) -> None:
    document = system()
    spoil(document)
    found = problems_of(document)
    matching = [item for item in found if item.path.endswith(path) and message in item.message]
    assert matching, found
    assert {item.file for item in found} == {"s.json"}


@pytest.mark.parametrize("key", ["maxBatchSize", "atTokens"])
@pytest.mark.parametrize("missing", [0, None])
def test_a_batch_limit_may_be_missing_where_each_server_has_its_own(
    key: str, missing: int | None
) -> None:
    document = system()
    at("modelData", "models", 1, key, to=missing)(document)
    # Server "two" has a limit of its own, and "three" has none.
    (problem,) = problems_of(document)
    assert problem.path == f"system.modelData.models[1].{key}"
    assert "every server of the model has its own maxBatchSize" in problem.allowed
    at("serverData", "servers", 2, "maxBatchSize", to=4)(document)
    assert parse_fleet(document).servers[2].max_batch == 4
    # A model that no server uses is held to the rule too.
    document["system"]["serverData"]["servers"] = []
    assert [item.path for item in problems_of(document)] == [problem.path]


@pytest.mark.parametrize("document", [{"system": None}, {"system": {}}, {"System": [1]}])
def test_no_system_at_all(document: Json) -> None:
    assert all(problem.path.startswith("system") for problem in problems_of(document))


FILES = {
    "accelerator-data.json": "acceleratorData",
    "capacity-data.json": "capacityData",
    "model-data.json": "modelData",
    "serviceclass-data.json": "serviceClassData",
    "server-data.json": "serverData",
    "optimizer-data.json": "optimizerData",
}


class TestDirectory:
    def write(self, folder: Path, document: Json) -> None:
        for name, section in FILES.items():
            (folder / name).write_text(json.dumps(document["system"][section]))

    def test_six_files_are_one_system(self, tmp_path: Path) -> None:
        self.write(tmp_path, SYSTEM)
        assert read_fleet(tmp_path) == parse_fleet(SYSTEM)

    def test_problems_name_the_file_and_the_path_in_it(self, tmp_path: Path) -> None:
        document = system()
        at(*SERVER, "model", to="x")(document)
        at(*ACCELERATOR, "cost", to=-1)(document)
        self.write(tmp_path, document)
        with pytest.raises(InvalidInputError) as caught:
            read_fleet(tmp_path)
        found = [(Path(item.file).name, item.path) for item in caught.value.problems]
        assert found == [
            ("accelerator-data.json", "accelerators[0].cost"),
            ("server-data.json", "servers[0].model"),
        ]

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        self.write(tmp_path, SYSTEM)
        (tmp_path / "model-data.json").unlink()
        with pytest.raises(InvalidInputError) as caught:
            read_fleet(tmp_path)
        (problem,) = caught.value.problems
        assert problem.file == str(tmp_path / "model-data.json")
        assert "missing" in problem.message

    def test_flags_may_be_left_out(self, tmp_path: Path) -> None:
        self.write(tmp_path, SYSTEM)
        (tmp_path / "optimizer-data.json").unlink()
        assert read_fleet(tmp_path).settings.solver is None


class TestWriting:
    def test_reference_systems_return_as_they_were(self, golden_dir: Path) -> None:
        paths = sorted((golden_dir / "systems").glob("*.json"))
        assert len(paths) == 29
        for path in paths:
            document = json.loads(path.read_text(encoding="utf-8"))
            for server in document["system"]["serverData"]["servers"]:
                # The older generation leaves out what is zero there.
                server.setdefault("maxQueueSize", 0)
                for key in ("currentAlloc", "desiredAlloc"):
                    server[key]["load"].setdefault("throughput", 0)
            fleet = read_fleet(path)
            assert fleet_to_system(fleet) == document, path.name

    @given(shared_fleets())
    @settings(max_examples=60)
    def test_every_fleet_returns(self, fleet: Fleet) -> None:
        document = json.loads(json.dumps(fleet_to_system(fleet)))
        reference = replace(
            fleet.settings, analysis=Analysis.REFERENCE
        )  # as such fleets are planned
        assert parse_fleet(document) == replace(fleet, settings=reference)
        assert fleet_to_system(parse_fleet(document)) == document

    def test_whole_numbers_have_no_decimal_point(self) -> None:
        text = json.dumps(fleet_to_system(parse_fleet(SYSTEM)))
        assert ".0" not in text.replace("0.0", "")


class TestSingleObjects:
    def test_objects_and_collections(self) -> None:
        assert parse_one(InfernoOptimizer, {"MilpSolver": True}).milp_solver is True
        accelerator = SYSTEM["system"]["acceleratorData"]["accelerators"][0]
        assert to_json(parse_one(InfernoAccelerator, accelerator)) == accelerator
        servers = parse_one(InfernoServers, SYSTEM["system"]["serverData"])
        assert [item.name for item in servers.servers] == ["one", "two", "three"]

    @pytest.mark.parametrize(
        ("model", "document", "path"),
        [
            (InfernoServer, {"name": "a"}, "model"),
            (InfernoServer, [], ""),
            (InfernoModelPerf, {"name": "a", "acc": "b"}, ""),
            (
                InfernoServiceClass,
                {"name": "a", "priority": 1, "modelTargets": [{"model": "m"}, {"model": "m"}]},
                "modelTargets[1].model",
            ),
            (
                InfernoServers,
                {"servers": [{"name": "a", "model": "m"}, {"name": "a", "model": "m"}]},
                "servers[1].name",
            ),
        ],
    )
    def test_mistakes(self, model: Any, document: object, path: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            parse_one(model, document)
        assert [problem.path for problem in caught.value.problems] == [path]

    def test_a_system_put_together_is_checked(self) -> None:
        parsed = parse_system(SYSTEM)
        assert system_to_fleet(parsed) == parse_fleet(SYSTEM)
        stranger = parse_one(InfernoServers, {"servers": [{"name": "a", "model": "zzz"}]})
        mixed: InfernoSystem = parsed.model_copy(update={"server_data": stranger})
        with pytest.raises(InvalidInputError, match=r"servers\[0\]\.model: no model is called"):
            system_to_fleet(mixed)
