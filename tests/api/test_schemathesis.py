"""Schemathesis plays with every endpoint: no request may cause a server error.

Right and wrong requests, drawn from the service's own description, the same in every run.
"""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

FLEETS = "^/v1/(plan|explain|validate|horizon)$"
"""Endpoints whose bodies are whole fleets. Their systematic cases (every bound of every field)
are nine thousand: they are left to `test_refusals` and to the formats' own tests."""

DRAWN_ONLY = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})


def play(requests: int) -> settings:
    return settings(
        max_examples=requests,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


stateless = schemathesis.openapi.from_asgi("/openapi.json", create_app(time_limit_s=10.0))
fleets = schemathesis.openapi.from_asgi(
    "/openapi.json", create_app(time_limit_s=10.0), config=DRAWN_ONLY
)
stateful = schemathesis.openapi.from_asgi(
    "/openapi.json", create_app(stateful=True, time_limit_s=10.0)
)


@fleets.include(path_regex=FLEETS).parametrize()
@play(20)
def test_fleets(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)


@stateless.exclude(path_regex=FLEETS).parametrize()
@play(8)
def test_stateless(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)


@stateful.include(path_regex="^/(optimize|set|add|apply|remove|get)").parametrize()
@play(8)
def test_stateful(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)
