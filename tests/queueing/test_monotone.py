"""The search for the largest rate rests on which figures never fall as the rate rises."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from queueing.cases import ReplicaCases
from queueing.replica import analyze
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService

COUNT = 8000


def cases(generation: str, seed: int) -> ReplicaCases:
    """Small batches, short outputs and long prompts: where ITL is closest to falling."""
    draw = np.random.default_rng(seed)

    def spread(low: float, high: float) -> npt.NDArray[np.float64]:
        return np.exp(draw.uniform(np.log(low), np.log(high), COUNT))

    alpha = np.where(draw.random(COUNT) < 0.2, 0.0, spread(3e-4, 400.0))
    beta = spread(1e-4, 1.0)
    gamma = np.where(draw.random(COUNT) < 0.3, 0.0, spread(1e-7, 0.05))
    service: ServiceTimeModel = (
        TokenWorkService.of(alpha, beta, gamma)
        if generation == "token-work"
        else LinearService.of(alpha, beta, 1000 * gamma, gamma)
    )
    return ReplicaCases.of(
        service,
        np.floor(spread(10.0, 2e5)),
        np.floor(spread(1.0, 300.0)),
        np.floor(spread(1.0, 40.0)),
        np.where(draw.random(COUNT) < 0.4, 0.0, np.floor(spread(1.0, 1000.0))),
    )


@pytest.mark.parametrize("generation", ["linear", "token-work"])
@pytest.mark.parametrize("seed", [1, 2])
def test_latencies_never_fall_where_the_search_relies_on_it(generation: str, seed: int) -> None:
    case = cases(generation, seed)
    usable = np.flatnonzero(case.usable())
    case = case.take(usable)
    rises = case.service.itl_rises_with_load(case.max_batch, case.input_tokens, case.output_tokens)
    assert rises.sum() > 1000
    top = analyze(case, 1.0).max_rate_rps
    before = None
    for share in (*np.geomspace(1e-3, 0.3, 12), *np.linspace(0.33, 1.0, 30)):
        point = analyze(case, share * top)
        if before is not None:
            assert np.all(point.ttft_ms >= before.ttft_ms * (1 - 1e-9))
            assert np.all(point.blocking >= before.blocking * (1 - 1e-9))
            assert np.all(point.mean_in_service >= before.mean_in_service * (1 - 1e-9))
            assert np.all(point.itl_ms[rises] >= before.itl_ms[rises] * (1 - 1e-9))
        before = point
