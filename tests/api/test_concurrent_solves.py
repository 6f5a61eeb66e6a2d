"""Solves beside one another give what they give alone."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.rest import rest_client

PATIENCE_S = 60.0


@pytest.mark.parametrize("solver", ["milp", "greedy"])
def test_solves_do_not_disturb_one_another(solver: str) -> None:
    bodies: list[dict[str, Any]] = [
        {"fleet": fleet, "options": {"solver": solver, "unlimited": unlimited}}
        for fleet in ("small", "large")
        for unlimited in (False, True)
    ]
    with rest_client(max_concurrent_solves=3) as client, ThreadPoolExecutor(6) as others:

        def allocations(body: dict[str, Any]) -> object:
            answer = client.post("/v1/plan", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()["allocations"]

        alone = [allocations(body) for body in bodies]
        together = list(others.map(allocations, bodies * 3, timeout=PATIENCE_S))
    assert together == alone * 3
