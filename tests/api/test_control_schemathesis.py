"""Schemathesis plays with every endpoint of a control loop: no request may cause a server error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.control.app import create_control_app
from api.control.endpoints import CONTROL_ENDPOINTS
from controller.exposition import exposition_of
from tests.support.desk import desk_world

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
AUTHORIZED = {"Authorization": "Bearer secret"}


PLAY = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_the_loop(tmp_path: Path) -> None:
    of = desk_world(tmp_path)
    of.cycle()
    app = create_control_app(of.desk, exposition_of(of.metrics), token=lambda: "secret")
    schema: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
    played = set()
    for found in schema.get_all_operations():

        @PLAY
        @given(case=found.ok().as_strategy())
        def play(case: Any) -> None:
            case.call_and_validate(headers=AUTHORIZED, checks=CHECKS)

        play()
        played.add(found.ok().path)
    assert played == {each.path for each in CONTROL_ENDPOINTS} - {"/openapi.json"}
