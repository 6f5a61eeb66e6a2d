"""Inferno's format: every mistake is told at its place."""

from collections.abc import Callable

import pytest

from data.fleets import parse_fleet
from tests.support.inferno_systems import (
    ACCELERATOR,
    MODEL,
    SERVER,
    TARGETS,
    Json,
    at,
    problems_of,
    system,
)


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
