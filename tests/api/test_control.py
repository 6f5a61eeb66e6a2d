"""The REST service of a control loop: questions, orders, who may give them, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from api.control import schemas
from api.control.app import MAX_BODY_BYTES
from stoker.domain.control.choices import Mode
from tests.support.desk import CHAT, DeskWorld, desk_world, json_of, served

V1 = "/v1/control"
ORDERS = ("approve/x", "reject/x", "pause", "resume", "trigger")


@pytest.fixture
def of(tmp_path: Path) -> DeskWorld:
    return desk_world(tmp_path)


@pytest.fixture
def client(of: DeskWorld) -> Iterator[httpx.Client]:
    with served(of) as found:
        yield found


def fits(value: object, schema: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(value)


def test_what_the_loop_did_is_answered_as_described(of: DeskWorld, client: httpx.Client) -> None:
    for _ in range(5):
        of.cycle()
    status = json_of(client.get(f"{V1}/status"))
    fits(status, schemas.STATUS)
    assert status["cycle"] == 5
    assert status["pending"]["servers"] == [CHAT]
    last = json_of(client.get(f"{V1}/cycles/last"))
    fits(last, schemas.RECORD)
    assert last.items() <= status.items()
    assert json_of(client.get(f"{V1}/cycles/2"))["cycle"] == 2
    told = json_of(client.get(f"{V1}/explain/{CHAT}"))
    fits(told, schemas.EXPLANATION)
    assert told["cycle"] == 5
    assert json_of(client.get(f"{V1}/explain/{CHAT}?cycle=3"))["cycle"] == 3
    page = json_of(client.get(f"{V1}/history", params={"limit": 2}))
    fits(page, schemas.HISTORY)
    assert [each["cycle"] for each in page["cycles"]] == [5, 4]
    rest = json_of(client.get(f"{V1}/history", params={"before": page["next"]}))
    assert [each["cycle"] for each in rest["cycles"]] == [3, 2, 1]
    assert rest["next"] is None
    since = {"since": "1970-01-12T13:47:00+00:00", "until": "1000061", "server": CHAT}
    some = json_of(client.get(f"{V1}/history", params=since))
    fits(some, schemas.HISTORY)
    assert [each["cycle"] for each in some["cycles"]] == [3, 2]
    waiting = json_of(client.get(f"{V1}/pending"))
    fits(waiting, schemas.PENDING)
    assert waiting["plan"]["decisions"][CHAT]["direction"] == "up"


def test_the_plan_that_was_seen_is_approved_and_no_other(
    of: DeskWorld, client: httpx.Client
) -> None:
    of.cycle()
    seen = json_of(client.get(f"{V1}/pending"))["plan"]["id"]
    of.world.rates[CHAT] = lambda _: 400.0
    of.cycle()
    refused = json_of(client.post(f"{V1}/approve/{seen}"), 409)
    assert refused["type"] == "urn:stoker:problem:conflict"
    plan = json_of(client.get(f"{V1}/pending"))["plan"]
    assert plan["id"] in refused["detail"]
    wrong = json_of(client.post(f"{V1}/approve/{plan['id']}", json={"servers": ["code"]}), 422)
    assert wrong["errors"] == [
        {"path": "servers[0]", "message": "'code' is none of the plan", "allowed": CHAT}
    ]
    approved = json_of(client.post(f"{V1}/approve/{plan['id']}", json={"servers": [CHAT]}))
    fits(approved, schemas.APPROVED)
    assert len(of.woken) == 1
    of.cycle()
    assert of.chat() > 1
    none = json_of(client.post(f"{V1}/approve/{plan['id']}"), 409)
    assert none["detail"] == "no plan waits for approval"


def test_a_plan_is_rejected(of: DeskWorld, client: httpx.Client) -> None:
    of.cycle()
    plan = json_of(client.get(f"{V1}/pending"))["plan"]
    fits(json_of(client.post(f"{V1}/reject/{plan['id']}")), schemas.REJECTED)
    of.cycle()
    found = json_of(client.get(f"{V1}/pending"))
    fits(found, schemas.PENDING)
    assert found["plan"] is None
    assert list(found["rejected"]) == [CHAT]


def test_the_loop_is_paused_woken_and_resumed(tmp_path: Path) -> None:
    of = desk_world(tmp_path, Mode.ACT)
    with served(of) as client:
        paused = json_of(client.post(f"{V1}/pause", json={"reason": "nodes"}))
        fits(paused, schemas.PAUSE)
        assert paused["paused"]["reason"] == "nodes"
        assert json_of(client.post(f"{V1}/trigger"), 202) == {"after_cycle": 0}
        of.cycle()
        assert of.chat() == 1
        status = json_of(client.get(f"{V1}/status"))
        fits(status, schemas.STATUS)
        assert status["paused_since"]["reason"] == "nodes"
        assert json_of(client.post(f"{V1}/resume", json={})) == {"paused": None}
        assert json_of(client.post(f"{V1}/trigger"), 202) == {"after_cycle": 1}
        of.cycle()
        assert of.chat() > 1
        assert len(of.woken) == 2


def test_before_the_first_cycle_there_is_nothing(client: httpx.Client) -> None:
    for path in ("status", "pending", "cycles/last", f"explain/{CHAT}"):
        assert "no cycle is over yet" in json_of(client.get(f"{V1}/{path}"), 404)["detail"]
    assert json_of(client.get(f"{V1}/history")) == {"cycles": [], "next": None}
    assert json_of(client.get("/health")) == {"status": "ok"}
    assert "stoker_cycles_total 0.0" in client.get("/metrics").text


WRONG: dict[str, tuple[str, str, Any, int, str]] = {
    "no such cycle": ("GET", "cycles/99", None, 404, "cycle 99 is not among"),
    "no number": ("GET", "cycles/x", None, 422, "a whole number of at least 1, or last"),
    "cycle zero": ("GET", "cycles/0", None, 422, "at least 1"),
    "no such server": ("GET", "explain/nobody", None, 404, "has: chat, search, code"),
    "no cycle number": ("GET", "explain/chat?cycle=-1", None, 422, "'-1' is out of bounds"),
    "misspelt parameter": ("GET", "history?sinse=5", None, 422, "limit, before, since"),
    "no time": ("GET", "history?since=yesterday", None, 422, "'yesterday' is no time"),
    "no finite time": ("GET", "history?since=nan", None, 422, "'nan' is no time"),
    "too many": ("GET", "history?limit=5000", None, 422, "from 1 to 1000"),
    "a long number": ("GET", f"history?before={'9' * 5000}", None, 422, "before"),
    "history of nobody": ("GET", "history?server=nobody", None, 404, "nobody"),
    "parameter of status": ("GET", "status?cycle=3", None, 422, "cycle: unknown parameter"),
    "no such path": ("GET", "stats", None, 404, "/openapi.json"),
    "another method": ("POST", "status", None, 405, "POST is not served"),
    "no list": ("POST", "approve/x", b'{"servers": "chat"}', 422, "names of servers"),
    "an empty list": ("POST", "approve/x", b'{"servers": []}', 422, "names of servers"),
    "misspelt key": ("POST", "approve/x", b'{"server": ["chat"]}', 422, "unknown key"),
    "no JSON": ("POST", "pause", b"{", 400, "no JSON"),
    "no object": ("POST", "pause", b"[1]", 400, "a JSON object is wanted"),
    "no text": ("POST", "pause", b'{"reason": 5}', 422, "reason"),
    "a long reason": ("POST", "pause", b'{"reason": "%s"}' % (b"x" * 2000), 422, "1000"),
    "a body for nothing": ("POST", "trigger", b'{"now": true}', 422, "an empty object"),
    "a parameter for nothing": ("POST", "resume?x=1", None, 422, "unknown parameter"),
    "a large body": ("POST", "pause", b" " * (MAX_BODY_BYTES + 1), 413, "larger"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_told(of: DeskWorld, client: httpx.Client, case: str) -> None:
    method, path, body, status, words = WRONG[case]
    of.cycle()
    problem = json_of(client.request(method, f"{V1}/{path}", content=body), status)
    assert words in problem["detail"]
    assert problem["status"] == status
    assert problem["instance"].startswith(V1)
    assert of.journal.orders.paused() is None


def test_without_a_token_the_loopback_alone_may_order(of: DeskWorld, client: httpx.Client) -> None:
    of.cycle()
    plan = json_of(client.get(f"{V1}/pending"))["plan"]["id"]
    headers: dict[str, dict[str, str]] = {
        "origin": {"Origin": "http://127.0.0.1:9464"},
        "x-forwarded-for": {"X-Forwarded-For": "127.0.0.1"},
        "forwarded": {"Forwarded": "for=127.0.0.1"},
    }
    for name, header in headers.items():
        refused = json_of(client.post(f"{V1}/approve/{plan}", headers=header), 403)
        assert f"with the header {name}" in refused["detail"]
        assert "--token-file" in refused["detail"]
    # Another address of this machine stands for one of elsewhere.
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=client.base_url, transport=elsewhere, trust_env=False) as other:
        for order in ORDERS:
            refused = json_of(other.post(f"{V1}/{order}"), 403)
            assert "comes from 127.0.0.2" in refused["detail"]
        assert json_of(other.get(f"{V1}/status"))["cycle"] == 1
        assert other.get("/metrics").status_code == 200
    of.cycle()
    assert of.chat() == 1
    assert of.woken == []


def test_with_a_token_nobody_asks_or_orders_without_it(of: DeskWorld, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    of.cycle()
    with served(of, token=lambda: file.read_text().strip()) as client:
        for given in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic secret"}):
            for answer in (
                client.get(f"{V1}/status", headers=given),
                client.post(f"{V1}/trigger", headers=given),
            ):
                assert json_of(answer, 401)["type"] == "urn:stoker:problem:unauthorized"
                assert answer.headers["www-authenticate"] == "Bearer"
        # What tells Prometheus and kubelets wants none.
        for path in ("/metrics", "/health", "/openapi.json"):
            assert client.get(path).status_code == 200
        right = {"Authorization": "Bearer secret", "X-Forwarded-For": "10.0.0.1"}
        assert json_of(client.get(f"{V1}/status", headers=right))["cycle"] == 1
        assert client.post(f"{V1}/trigger", headers=right).status_code == 202
        file.write_text("renewed")  # a secret that is renewed counts at once
        assert client.get(f"{V1}/status", headers=right).status_code == 401
        file.write_text("")
        nothing = {"Authorization": "Bearer"}
        assert client.get(f"{V1}/status", headers=nothing).status_code == 401
        file.unlink()
        gone = json_of(client.get(f"{V1}/status", headers=right), 503)
        assert "token of the service cannot be read" in gone["detail"]


def test_records_that_cannot_be_read_are_told(
    of: DeskWorld, client: httpx.Client, tmp_path: Path
) -> None:
    of.cycle()
    (tmp_path / "history.db").write_bytes(b"no database " * 1000)
    problem = json_of(client.get(f"{V1}/status"), 503)
    assert "the history cannot be read or written" in problem["detail"]


def test_a_loop_that_stands_still_is_not_healthy(of: DeskWorld) -> None:
    with served(of, stalled=lambda: "no cycle was over for 600 s") as client:
        assert "600 s" in json_of(client.get("/health"), 503)["detail"]
