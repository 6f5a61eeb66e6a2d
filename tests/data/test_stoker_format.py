import copy
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings

from data.decode import decode_json, decode_yaml
from data.fleets import parse_fleet
from data.stoker_example import EXAMPLE
from data.stoker_format import document_to_fleet, fleet_to_document
from data.stoker_settings import OptimizerEntry, RulesEntry
from data.yaml_writer import to_yaml
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.server import Allocation
from stoker.domain.settings import INFERNO_RULES, STOKER_RULES, OptimizerSettings
from stoker.domain.workload import Load
from tests.support.fleets import own_fleets, shared_fleets

Document = dict[str, Any]


def example() -> Document:
    return copy.deepcopy(dict(EXAMPLE))


def problems_of(document: object) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(document, "f.yaml")
    return caught.value.problems


@given(own_fleets())
@settings(max_examples=60)
def test_every_fleet_returns_from_json_and_from_yaml(fleet: Fleet) -> None:
    document = fleet_to_document(fleet)
    assert document_to_fleet(decode_json(json.dumps(document)).value) == fleet
    assert document_to_fleet(decode_yaml(to_yaml(document)).value) == fleet


@given(shared_fleets())
@settings(max_examples=30)
def test_writing_is_stable(fleet: Fleet) -> None:
    document = fleet_to_document(fleet)
    assert fleet_to_document(document_to_fleet(document)) == document


def test_the_example_is_read_in_full() -> None:
    fleet = parse_fleet(example())
    assert fleet.rules == STOKER_RULES
    assert fleet.capacity == (Capacity("H100", 64),)
    assert [(item.card_type, item.cards) for item in fleet.accelerators] == [
        ("H100", 1),
        ("H100", 4),
    ]
    assert fleet.servers[0].load == Load(20.0, 400.0, 250.0)
    assert fleet.servers[0].min_replicas == 1
    assert fleet.settings.solver is None


def test_rates_per_minute_and_unknown_loads() -> None:
    document = example()
    document["servers"][0]["load"] = {
        "arrival_rate_rpm": 90,
        "input_tokens": 1,
        "output_tokens": 2,
    }
    document["servers"].append({**document["servers"][0], "name": "other", "load": "unknown"})
    loads = [server.load for server in document_to_fleet(document).servers]
    assert loads == [Load(1.5, 1.0, 2.0), None]


def test_the_cost_of_what_runs_follows_from_the_profile() -> None:
    document = example()
    document["profiles"][0]["accelerators_per_replica"] = 2
    document["servers"][0]["current"] = {"accelerator": "H100", "replicas": 3}
    current = document_to_fleet(document).servers[0].current
    assert current == Allocation("H100", 3, cost_per_hour=15.0)


def test_defaults_are_those_of_the_domain() -> None:
    settings_left_out = OptimizerEntry().model_dump() | {"analysis": None}
    assert settings_left_out == asdict(OptimizerSettings())
    assert RulesEntry().model_dump() == asdict(STOKER_RULES)


def test_an_unlimited_fleet_needs_no_capacity() -> None:
    document = example()
    del document["capacity"]
    document["optimizer"] = {"unlimited": True}
    assert document_to_fleet(document).capacity == ()


def change(*path: str | int, to: object) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        here: Any = document
        for part in path[:-1]:
            here = here[part]
        here[path[-1]] = to

    return apply


def remove(*path: str | int) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        here: Any = document
        for part in path[:-1]:
            here = here[part]
        del here[path[-1]]

    return apply


def repeat(section: str) -> Callable[[Document], None]:
    return lambda document: document[section].append(copy.deepcopy(document[section][0]))


ZERO = {"kind": "linear", "alpha_ms": 0, "beta_ms": 0, "gamma_ms": 0.0, "delta_ms": 0}
RUNS = ("servers", 0, "current")

WRONG: list[tuple[Callable[[Document], None], str, str, str]] = [
    # change, path, part of the message, part of what is allowed
    (change("serverz", to=[]), "serverz", 'did you mean "servers"?', "servers"),
    (change("capacity", "A10", to=1), "capacity.A10", 'called "A10"', "H100"),
    (change("capacity", "H100", to=-1), "capacity.H100", "-1 is out of bounds", "at least 0"),
    (change("capacity", "H100", to=1.5), "capacity.H100", "1.5 is not a whole", "whole number"),
    (change("capacity", "H100", to=10**30), "capacity.H100", "out of bounds", "at most"),
    (remove("capacity"), "capacity", "is missing", "optimizer.unlimited"),
    (remove("currency"), "currency", "is missing", "three capital letters"),
    (change("currency", to="usd"), "currency", '"usd"', "three capital letters"),
    (change("version", to=2), "version", "2 is out of bounds", "1"),
    (change("version", to=True), "version", "true is not", "1"),
    (repeat("accelerators"), "accelerators[2].name", 'the name "H100" is used twice', "once"),
    (repeat("servers"), "servers[1].name", "first at servers[0].name", "once"),
    (repeat("service_classes"), "service_classes[1].name", "used twice", "once"),
    (repeat("profiles"), "profiles[1]", "first at profiles[0]", "once"),
    (
        change("accelerators", 0, "cost_per_hour", to="2.5"),
        "accelerators[0].cost_per_hour",
        '"2.5" is not a number',
        "a number, at least 0",
    ),
    (
        change("accelerators", 0, "cost_per_hour", to=True),
        "accelerators[0].cost_per_hour",
        "true is not a number",
        "a number",
    ),
    (
        change("accelerators", 0, "memory_gb", to=float("nan")),
        "accelerators[0].memory_gb",
        "NaN is not a finite number",
        "above 0",
    ),
    (
        change("accelerators", 0, "memory_gb", to=float("inf")),
        "accelerators[0].memory_gb",
        "Infinity is not a finite number",
        "above 0",
    ),
    (
        change("accelerators", 0, "memory_gb", to=10**400),
        "accelerators[0].memory_gb",
        "too large",
        "above 0",
    ),
    (change("accelerators", 0, "name", to=7), "accelerators[0].name", "put it in quotes", "text"),
    (change("accelerators", 0, "name", to=""), "accelerators[0].name", "is empty", "character"),
    (change("accelerators", to={}), "accelerators", "a mapping is not a list", "a list"),
    (change("servers", to=None), "servers", "null is not a list", "a list"),
    (change("servers", 0, to="x"), "servers[0]", '"x" is not a mapping', "service_class"),
    (
        change("servers", 0, "model", to="llama-3.1-80b"),
        "servers[0].model",
        'did you mean "llama-3.1-8b"?',
        "llama-3.1-8b",
    ),
    (
        change("servers", 0, "service_class", to="batch"),
        "servers[0].service_class",
        'no service class is called "batch"',
        "interactive",
    ),
    (
        change("profiles", 0, "accelerator", to="H200"),
        "profiles[0].accelerator",
        'no accelerator is called "H200"; did you mean "H100"?',
        "H100, 4xH100",
    ),
    (change("profiles", 0, "parameters", to=ZERO), "profiles[0].parameters", "is zero", "above 0"),
    (
        change("profiles", 0, "parameters", to={**ZERO, "alpha_ms": -1}),
        "profiles[0].parameters.alpha_ms",
        "-1 is out of bounds",
        "at least 0",
    ),
    (
        remove("profiles", 0, "parameters", "beta_ms"),
        "profiles[0].parameters.beta_ms",
        "is missing",
        "a number",
    ),
    (
        remove("profiles", 0, "parameters", "kind"),
        "profiles[0].parameters.kind",
        "is missing",
        "linear or token-work",
    ),
    (
        change("profiles", 0, "parameters", "kind", to="tokenwork"),
        "profiles[0].parameters.kind",
        '"tokenwork"',
        "linear, token-work",
    ),
    (
        change("profiles", 0, "parameters", "delta_ms", to=1),
        "profiles[0].parameters.delta_ms",
        "unknown key",
        "gamma_ms",
    ),
    (change("profiles", 0, "max_batch", to=0), "profiles[0].max_batch", "0 is out", "at least 1"),
    (
        change("profiles", 0, "provenance", "kind", to="guessed"),
        "profiles[0].provenance.kind",
        '"guessed"',
        "measured, fitted, estimated, declared",
    ),
    (
        change("service_classes", 0, "priority", to=101),
        "service_classes[0].priority",
        "101 is out of bounds",
        "at most 100",
    ),
    (
        change("service_classes", 0, "targets", 0, "ttft_ms", to=0),
        "service_classes[0].targets[0].ttft_ms",
        "0 is out of bounds",
        "above 0",
    ),
    (
        lambda d: d["service_classes"][0]["targets"].append({"model": "llama-3.1-8b"}),
        "service_classes[0].targets[1].model",
        "first at service_classes[0].targets[0].model",
        "once",
    ),
    (remove("servers", 0, "load"), "servers[0].load", "is missing", "the word unknown"),
    (change("servers", 0, "load", to=None), "servers[0].load", "null", "the word unknown"),
    (change("servers", 0, "load", to="no"), "servers[0].load", '"no"', "the word unknown"),
    (
        change("servers", 0, "load", to={"input_tokens": 1, "output_tokens": 1}),
        "servers[0].load",
        "the arrival rate is missing",
        "arrival_rate_rpm",
    ),
    (
        change("servers", 0, "load", "arrival_rate_rpm", to=1),
        "servers[0].load",
        "given twice",
        "one of",
    ),
    (
        change("servers", 0, "load", "input_tokens", to=-4.5),
        "servers[0].load.input_tokens",
        "-4.5 is out of bounds",
        "at least 0",
    ),
    (
        change("servers", 0, "max_replicas", to=0),
        "servers[0].max_replicas",
        "0 is out of bounds",
        "at least 1",
    ),
    (
        lambda d: d["servers"][0].update(min_replicas=3, max_replicas=2),
        "servers[0].min_replicas",
        "3 is more than max_replicas, 2",
        "at most 2",
    ),
    (
        change(*RUNS, to={"accelerator": "A1", "replicas": 1, "cost_per_hour": 1}),
        "servers[0].current.accelerator",
        'no accelerator is called "A1"',
        "H100",
    ),
    (
        # That nothing tells its cost follows from the name, and is not told beside it.
        change(*RUNS, to={"accelerator": "A1", "replicas": 1}),
        "servers[0].current.accelerator",
        'no accelerator is called "A1"',
        "H100",
    ),
    (
        change(*RUNS, to={"accelerator": "4xH100", "replicas": 1}),
        "servers[0].current.cost_per_hour",
        "is missing",
        "cost",
    ),
    (
        change(*RUNS, to={"accelerator": None, "replicas": 1}),
        "servers[0].current.replicas",
        "without an accelerator",
        "0",
    ),
    (
        change("servers", 0, "keep_accelerator", to="yes"),
        "servers[0].keep_accelerator",
        '"yes" is neither true nor false',
        "true or false",
    ),
    (
        change("optimizer", to={"saturation_policy": "roundrobin"}),
        "optimizer.saturation_policy",
        'did you mean "RoundRobin"?',
        "PriorityExhaustive",
    ),
    (
        change("rules", to={"max_blocking": 1.5}),
        "rules.max_blocking",
        "1.5 is out of bounds",
        "at most 1",
    ),
    (change("analysis", to="rough"), "analysis", '"rough"', "reference, full"),
]


@pytest.mark.parametrize(("spoil", "path", "message", "allowed"), WRONG)
def test_one_mistake_is_one_problem_that_names_place_value_and_choices(
    spoil: Callable[[Document], None], path: str, message: str, allowed: str
) -> None:
    document = example()
    spoil(document)
    (problem,) = problems_of(document)
    assert problem.path == path
    assert problem.file == "f.yaml"
    assert message in problem.message
    assert allowed in problem.allowed


def test_all_mistakes_come_at_once_in_document_order() -> None:
    document = example()
    document["servers"][0].update(model="nope", min_replicas=-1)
    document["servers"][0]["load"]["output_tokens"] = "many"
    document["accelerators"][0]["cost_per_hour"] = -1
    document["capacity"]["A10"] = 2
    document["profiles"][0]["parameters"]["alpha_ms"] = None
    document["extra"] = 1
    del document["service_classes"][0]["priority"]
    assert [problem.path for problem in problems_of(document)] == [
        "accelerators[0].cost_per_hour",
        "capacity.A10",
        "profiles[0].parameters.alpha_ms",
        "service_classes[0].priority",
        "servers[0].model",
        "servers[0].load.output_tokens",
        "servers[0].min_replicas",
        "extra",
    ]


@pytest.mark.parametrize("document", [None, 3, "fleet", [], True, {}, {5: 6}, {"servers": 3}])
def test_what_is_no_fleet_at_all_is_refused(document: object) -> None:
    assert problems_of(document)


def test_a_fleet_with_loose_ends_of_another_format_is_not_written() -> None:
    fleet = parse_fleet(example())
    loose = replace(fleet, capacity=(*fleet.capacity, Capacity("TPU", 4)))
    with pytest.raises(InvalidInputError, match=r"capacity\.TPU"):
        fleet_to_document(loose)


def test_rules_are_written_where_they_differ() -> None:
    fleet = replace(parse_fleet(example()), rules=INFERNO_RULES)
    document = fleet_to_document(fleet)
    assert document["rules"] == {
        "queue_rule": "reference",
        "max_blocking": None,
        "tps_replaces_rate": True,
        "reject_short_memory": False,
    }
    assert document_to_fleet(document) == fleet
