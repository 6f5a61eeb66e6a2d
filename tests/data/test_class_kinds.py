"""Kinds of service classes in control documents, as defaults for their servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.control_document.reading import read_control
from stoker.domain.control.choices import ClassKind
from stoker.domain.control.settings import ServerControl
from stoker.domain.errors import InvalidInputError
from tests.support.control_setup import fleet_document

DEADLINE, LATER = "2026-12-01T06:00:00Z", "2026-12-02T06:00:00Z"
AT = 1796104800.0
BATCH = {"service_class": "interactive", "kind": "batch"}
WHOLE = {**BATCH, "backlog_tokens": 5e6, "deadline": DEADLINE}


def read(folder: Path, classes: list[Any], servers: list[Any]) -> dict[str, ServerControl]:
    fleet = fleet_document()
    fleet["servers"].append({**fleet["servers"][0], "name": "search"})
    (folder / "fleet.yaml").write_text(json.dumps(fleet))
    document = {"version": 1, "kind": "control", "fleet": "fleet.yaml"}
    path = folder / "control.yaml"
    path.write_text(json.dumps(document | {"service_classes": classes, "servers": servers}))
    return dict(read_control(path).settings.servers)


def test_servers_take_what_their_class_tells(tmp_path: Path) -> None:
    found = read(tmp_path, [WHOLE], [])
    for name in ("chat", "search"):
        assert found[name] == ServerControl(
            name, kind=ClassKind.BATCH, backlog_tokens=5e6, deadline=AT
        )


def test_what_a_server_tells_goes_before(tmp_path: Path) -> None:
    own = [
        {"server": "chat", "backlog_tokens": 1e6, "deadline": LATER, "min_replicas": 2},
        {"server": "search", "kind": "realtime"},
    ]
    found = read(tmp_path, [WHOLE], own)
    chat = found["chat"]
    assert (chat.kind, chat.backlog_tokens, chat.min_replicas) == (ClassKind.BATCH, 1e6, 2)
    assert chat.deadline == AT + 86_400
    assert found["search"] == ServerControl("search", kind=ClassKind.REALTIME)


def test_a_class_and_its_server_tell_work_together(tmp_path: Path) -> None:
    own = [{"server": name, "backlog_tokens": 2e6} for name in ("chat", "search")]
    found = read(tmp_path, [{**BATCH, "deadline": DEADLINE}], own)
    assert (found["chat"].kind, found["chat"].deadline) == (ClassKind.BATCH, AT)


@pytest.mark.parametrize(
    ("classes", "servers", "words"),
    [
        ([{"service_class": "bulk", "kind": "batch"}], [], 'no service class "bulk"'),
        ([WHOLE, WHOLE], [], "is told twice"),
        ([{**WHOLE, "kind": "realtime"}], [], "service_classes[0].backlog_tokens: is told"),
        ([{**WHOLE, "deadline": "tomorrow"}], [], "service_classes[0].deadline"),
        ([{**BATCH, "deadline": DEADLINE}], [], "servers chat: backlog_tokens: is missing"),
        ([{**WHOLE, "kind": "lazy"}], [], "service_classes[0].kind"),
        (
            [{"service_class": "interactive", "kind": "realtime"}],
            [{"server": "chat", "deadline": DEADLINE}],
            "servers chat: deadline: is told",
        ),
        ([], [{"server": "chat", "kind": "batch"}], "servers[0].backlog_tokens: is missing"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, classes: list[Any], servers: list[Any], words: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, classes, servers)
    assert words in str(caught.value)
