"""Every Inferno verb: its body, its answer, its refusals."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import examples
from tests.support.rest import rest_client, upper_keys

Client = TestClient[Litestar]

ACCELERATOR = examples.ACCELERATOR
OTHER_ACCELERATOR = {**ACCELERATOR, "name": "4xA100", "multiplicity": 4, "cost": 160}
SERVICE_CLASS = {
    "name": "Premium",
    "priority": 1,
    "modelTargets": [{"model": "granite_13b", "slo-itl": 40, "slo-ttft": 500, "slo-tps": 0}],
}
SERVER = {**examples.SERVER, "maxBatchSize": 0, "maxQueueSize": 0}

COLLECTIONS: list[tuple[str, object]] = [
    ("/setAccelerators", {"accelerators": [ACCELERATOR, OTHER_ACCELERATOR]}),
    ("/setCapacities", {"count": [{"type": "A100", "count": 64}, {"type": "G2", "count": 8}]}),
    ("/setModels", {"models": [examples.PERFORMANCE]}),
    ("/setServiceClasses", {"serviceClasses": [SERVICE_CLASS]}),
    ("/setServers", {"servers": [SERVER]}),
]

OBJECTS: list[tuple[str, object]] = [
    ("/addAccelerator", ACCELERATOR),
    ("/setCapacity", {"type": "A100", "count": 3}),
    ("/addModelAcceleratorPerf", examples.PERFORMANCE),
    ("/addServer", SERVER),
]

MISSING = [
    ("/getAccelerator/X", "accelerator X not found"),
    ("/getCapacity/X", "capacity for X not found"),
    ("/getModel/X", "model X not found"),
    ("/getServiceClass/X", "service class X not found"),
    ("/getServer/X", "server X not found"),
    ("/getServiceClassModelTarget/X/granite_13b", "service class X not found"),
    ("/getServiceClassModelTarget/Premium/X", "model X not found"),
    ("/getModelAcceleratorPerf/X/A100", "model X not found"),
    ("/getModelAcceleratorPerf/granite_13b/X", "accelerator X not found"),
]


def fill(client: Client) -> None:
    for path, body in COLLECTIONS:
        assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize(("path", "body"), COLLECTIONS + OBJECTS)
def test_what_is_posted_is_echoed(stateful: Client, path: str, body: object) -> None:
    answer = stateful.post(path, json=body)
    assert (answer.status_code, answer.json()) == (200, body)


@pytest.mark.parametrize(("path", "body"), COLLECTIONS + OBJECTS)
def test_keys_match_in_any_case(stateful: Client, path: str, body: object) -> None:
    answer = stateful.post(path, json=upper_keys(body))
    assert (answer.status_code, answer.json()) == (200, body)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_the_content_type_is_not_looked_at(stateful: Client, content_type: str) -> None:
    answer = stateful.post(
        "/setCapacity", content=b'{"type":"A100","count":3}', headers={"content-type": content_type}
    )
    assert answer.json() == {"type": "A100", "count": 3}


def test_collections_are_shown_in_their_shapes(stateful: Client) -> None:
    fill(stateful)
    assert stateful.get("/getAccelerators").json() == [ACCELERATOR, OTHER_ACCELERATOR]
    assert stateful.get("/getCapacities").json() == COLLECTIONS[1][1]
    assert stateful.get("/getModels").json() == ["granite_13b"]
    assert stateful.get("/getModel/granite_13b").json() == COLLECTIONS[2][1]
    assert stateful.get("/getServiceClasses").json() == COLLECTIONS[3][1]
    assert stateful.get("/getServers").json() == COLLECTIONS[4][1]


def test_objects_are_shown_by_name(stateful: Client) -> None:
    fill(stateful)
    assert stateful.get("/getAccelerator/4xA100").json() == OTHER_ACCELERATOR
    assert stateful.get("/getCapacity/G2").json() == {"type": "G2", "count": 8}
    assert stateful.get("/getServiceClass/Premium").json() == SERVICE_CLASS
    assert stateful.get("/getServer/Premium-granite_13b").json() == SERVER
    target = stateful.get("/getServiceClassModelTarget/Premium/granite_13b").json()
    assert [target] == SERVICE_CLASS["modelTargets"]
    performance = stateful.get("/getModelAcceleratorPerf/granite_13b/A100").json()
    assert performance == examples.PERFORMANCE


@pytest.mark.parametrize(("path", "message"), MISSING)
def test_what_is_missing_is_not_found(stateful: Client, path: str, message: str) -> None:
    fill(stateful)
    answer = stateful.get(path)
    assert (answer.status_code, answer.json()["message"]) == (404, message)


@pytest.mark.parametrize(
    ("path", "message"),
    [(path.replace("/get", "/remove"), message) for path, message in MISSING],
)
def test_what_is_missing_cannot_be_removed(stateful: Client, path: str, message: str) -> None:
    fill(stateful)
    before = stateful.get("/getServers").json()
    answer = stateful.get(path)
    assert (answer.status_code, answer.json()["message"]) == (404, message)
    assert stateful.get("/getServers").json() == before


def test_an_empty_system_is_shown_empty(stateless: Client) -> None:
    assert stateless.get("/getAccelerators").json() == []
    assert stateless.get("/getCapacities").json() == {"count": []}
    assert stateless.get("/getModels").json() == []
    assert stateless.get("/getServiceClasses").json() == {"serviceClasses": []}
    assert stateless.get("/getServers").json() == {"servers": []}


@pytest.mark.parametrize(
    ("remove", "show", "removed"),
    [
        ("/removeAccelerator/4xA100", "/getAccelerator/4xA100", OTHER_ACCELERATOR),
        ("/removeCapacity/G2", "/getCapacity/G2", {"type": "G2", "count": 8}),
        ("/removeModel/granite_13b", "/getModel/granite_13b", "granite_13b"),
        ("/removeServiceClass/Premium", "/getServiceClass/Premium", SERVICE_CLASS),
        ("/removeServer/Premium-granite_13b", "/getServer/Premium-granite_13b", SERVER),
        (
            "/removeServiceClassModelTarget/Premium/granite_13b",
            "/getServiceClassModelTarget/Premium/granite_13b",
            SERVICE_CLASS["modelTargets"][0],  # type: ignore[index]
        ),
        (
            "/removeModelAcceleratorPerf/granite_13b/A100",
            "/getModelAcceleratorPerf/granite_13b/A100",
            examples.PERFORMANCE,
        ),
    ],
)
def test_removing_answers_what_is_gone(
    stateful: Client, remove: str, show: str, removed: object
) -> None:
    fill(stateful)
    answer = stateful.get(remove)
    assert (answer.status_code, answer.json()) == (200, removed)
    assert stateful.get(show).status_code == 404
    assert stateful.get(remove).status_code == 404


def test_names_of_models_may_hold_slashes(stateful: Client) -> None:
    fill(stateful)
    name = "meta-llama/Llama-3.1-8B"
    performance = {**examples.PERFORMANCE, "name": name}
    targets = {**SERVICE_CLASS, "modelTargets": [{"model": name, "slo-itl": 20}]}
    assert stateful.post("/addModelAcceleratorPerf", json=performance).status_code == 200
    assert stateful.post("/addServiceClassModelTargets", json=targets).status_code == 200
    for verb in ("get", "remove"):
        pair = stateful.get(f"/{verb}ModelAcceleratorPerf/{name}/A100")
        assert (pair.status_code, pair.json()) == (200, performance)
        target = stateful.get(f"/{verb}ServiceClassModelTarget/Premium/{name}")
        assert (target.status_code, target.json()["model"]) == (200, name)
    assert stateful.get(f"/getModel/{name}").json() == {"models": []}
    assert stateful.get(f"/getModelAcceleratorPerf/{name}/A100").status_code == 404
    route = 'route="/getModelAcceleratorPerf/{model}/{accelerator}",status="200"'
    assert route in stateful.get("/metrics").text


@pytest.mark.parametrize(
    "path", ["/getModelAcceleratorPerf/granite_13b", "/getModel/", "/getModel"]
)
def test_a_path_that_lacks_a_name_is_not_found(stateful: Client, path: str) -> None:
    fill(stateful)
    assert stateful.get(path).status_code == 404


def test_removing_performance_keeps_the_model(stateful: Client) -> None:
    fill(stateful)
    stateful.get("/removeModelAcceleratorPerf/granite_13b/A100")
    assert stateful.get("/getModel/granite_13b").json() == {"models": []}


def test_setting_adds_and_replaces_by_name(stateful: Client) -> None:
    fill(stateful)
    dearer = {**ACCELERATOR, "cost": 50}
    third = {**ACCELERATOR, "name": "A100-PCIe"}
    stateful.post("/setAccelerators", json={"accelerators": [third, dearer]})
    shown = stateful.get("/getAccelerators").json()
    assert shown == [dearer, OTHER_ACCELERATOR, third]


def test_adding_a_model_answers_its_name(stateful: Client) -> None:
    answer = stateful.get("/addModel/meta-llama/Llama-3.1-8B")
    assert (answer.status_code, answer.json()) == (200, "meta-llama/Llama-3.1-8B")
    assert stateful.get("/getModel/meta-llama%2FLlama-3.1-8B").json() == {"models": []}


def test_adding_a_service_class_answers_it(stateful: Client) -> None:
    answer = stateful.get("/addServiceClass/Bronze/7")
    assert answer.json() == {"name": "Bronze", "priority": 7, "modelTargets": []}
    assert stateful.get("/getServiceClass/Bronze").json() == answer.json()


@pytest.mark.parametrize("priority", ["0", "101", "-1", "high", "1.5", "٣", "9" * 500])
def test_a_priority_out_of_range_is_refused(stateful: Client, priority: str) -> None:
    answer = stateful.get(f"/addServiceClass/Bronze/{priority}")
    assert answer.status_code == 400
    assert "1 to 100" in answer.json()["message"]
    assert stateful.get("/getServiceClass/Bronze").status_code == 404


def test_targets_are_added_to_a_class(stateful: Client) -> None:
    fill(stateful)
    more = {
        "name": "Premium",
        "priority": 1,
        "modelTargets": [
            {"model": "granite_13b", "slo-itl": 30},
            {"model": "llama_13b", "slo-ttft": 900},
        ],
    }
    expected = {
        "name": "Premium",
        "priority": 1,
        "modelTargets": [
            {"model": "granite_13b", "slo-itl": 30, "slo-ttft": 0, "slo-tps": 0},
            {"model": "llama_13b", "slo-itl": 0, "slo-ttft": 900, "slo-tps": 0},
        ],
    }
    answer = stateful.post("/addServiceClassModelTargets", json=more)
    assert (answer.status_code, answer.json()) == (200, expected)
    assert stateful.get("/getServiceClass/Premium").json() == expected


def test_targets_need_the_class_and_its_priority(stateful: Client) -> None:
    fill(stateful)
    unknown = stateful.post("/addServiceClassModelTargets", json={"name": "X", "priority": 1})
    assert (unknown.status_code, unknown.json()["message"]) == (404, "service class X not found")
    other = stateful.post("/addServiceClassModelTargets", json={"name": "Premium", "priority": 2})
    assert other.status_code == 400
    assert "Premium" in other.json()["message"]


def test_a_stateless_service_has_no_verbs_that_change() -> None:
    with rest_client() as client:
        for path, body in COLLECTIONS + OBJECTS:
            refused = client.post(path, json=body)
            assert refused.status_code == 404
            assert "--stateful" in refused.json()["message"]
        for path in ("/removeServer/X", "/applyAllocation", "/addModel/X"):
            assert "--stateful" in client.get(path).json()["message"]
        assert client.post("/optimize", json={}).status_code == 404
