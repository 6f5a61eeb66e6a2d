"""How operating points are drawn.

Every quantity is spread evenly over its range (Latin hypercube: as many strata as points, one point
in each), each in an order of its own, from one seed. The scheme of the published grid:

- service-time model: 45% `token-work`, 25% `linear`, 30% `curve`;
- batch limit 1 to 256 and mean lengths 16 to 8000 in, 1 to 2000 out, all log-uniform;
- coefficients of variation: of lengths 0 (20%), else uniform to 1.5, input and output apart; of
  arrivals 1 (30%), 0 (10%), else uniform from 0 to 2;
- a third with a small token budget, 256 to 2048, at least the batch limit; else 8192;
- a third with KV memory of 0.2 to 1.3 of what the full batch would fill, and room for the
  longest requests; a fifth with a prefix-cache hit rate up to 0.8;
- load uniform from 0.1 to 0.95 of the simulated saturation throughput.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.case import OperatingPoint, Replica
from simulator import IterationModel, IterationTable, tabulate
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET

MODEL_SHARES = (("token-work", 0.45), ("linear", 0.25), ("curve", 0.30))

_LARGE_ENOUGH = 3.3
"""Standard deviations of the logarithm of a length up to which a request must fit in memory."""


class Strata:
    """Evenly spread numbers in [0, 1): a column for each name, in an order of its own."""

    def __init__(self, points: int, seed: int) -> None:
        """Prepare columns of that many numbers."""
        self._points = points
        self._random = np.random.default_rng(seed)
        self._columns: dict[str, NDArray[np.float64]] = {}

    def __call__(self, name: str, point: int) -> float:
        """Return the number of a point; columns come in the order of their first use."""
        if name not in self._columns:
            jitter = self._random.random(self._points)
            self._columns[name] = (self._random.permutation(self._points) + jitter) / self._points
        return float(self._columns[name][point])


Draw = Callable[[str], float]


def published(points: int, seed: int) -> list[OperatingPoint]:
    """Return the published grid: that many operating points."""
    strata = Strata(points, seed)
    drawn: list[OperatingPoint] = []
    for index in range(points):

        def draw(name: str, index: int = index) -> float:
            return strata(name, index)

        drawn.append(OperatingPoint(_any_replica(draw), 0.1 + 0.85 * draw("load"), index + 1))
    return drawn


@dataclass(frozen=True, slots=True)
class Restriction:
    """Limits of a part of a grid, for families of replicas that show one thing at a time.

    Attributes:
        model: Service-time model.
        arrivals: Whether arrivals may be other than Poisson.
        chunked: Whether the token budget is small.
        memory: Whether KV memory is bounded.
        prefix: Whether prefixes are cached.
    """

    model: str = "token-work"
    arrivals: bool = False
    chunked: bool = False
    memory: bool = False
    prefix: bool = False


FAMILIES: Mapping[str, Restriction] = {
    "plain": Restriction(),
    "arrivals": Restriction(arrivals=True),
    "linear": Restriction("linear"),
    "curve": Restriction("curve"),
    "chunked": Restriction(chunked=True),
    "memory": Restriction(memory=True),
    "prefix": Restriction(prefix=True),
}


def families(shares: Mapping[str, int], seed: int) -> Iterator[OperatingPoint]:
    """Yield a grid by families, the simple ones first, that many points of each."""
    number = count(1)
    for offset, (family, points) in enumerate(shares.items()):
        strata = Strata(points, seed + offset)
        for index in range(points):

            def draw(name: str, index: int = index, strata: Strata = strata) -> float:
                return strata(name, index)

            replica = _replica(draw, family, FAMILIES[family])
            yield OperatingPoint(replica, 0.1 + 0.85 * draw("load"), 10_000 + next(number))


def _any_replica(draw: Draw) -> Replica:
    restriction = Restriction(
        model_of(draw("model")),
        arrivals=draw("poisson") >= 0.3,
        chunked=draw("chunked") < 1 / 3,
        memory=draw("memory") < 1 / 3,
        prefix=draw("prefix") < 0.2,
    )
    return _replica(draw, "published", restriction)


def _replica(draw: Draw, family: str, within: Restriction) -> Replica:
    max_batch = round(log_between(draw("batch"), 1, 256))
    low = 500 if within.chunked else 16
    input_tokens = float(round(log_between(draw("input"), low, 8000)))
    output_tokens = float(round(log_between(draw("output"), 1, 2000)))
    input_cv, output_cv = _length_cv(draw("input CV")), _length_cv(draw("output CV"))
    budget = DEFAULT_TOKEN_BUDGET
    if within.chunked:
        budget = max(round(log_between(draw("budget"), 256, 2048)), max_batch)
    kv_tokens = None
    if within.memory:
        full = max_batch * (input_tokens + output_tokens / 2 * (1 + output_cv**2))
        share = log_between(draw("memory share"), 0.2, 1.3)
        largest = longest(input_tokens, input_cv) + longest(output_tokens, output_cv)
        kv_tokens = math.ceil(max(share * full, largest) + 16)
    return Replica(
        family=family,
        parameters=PARAMETERS[within.model](draw),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        input_cv=input_cv,
        output_cv=output_cv,
        arrival_cv=_arrival_cv(draw("arrival CV")) if within.arrivals else 1.0,
        max_batch=max_batch,
        token_budget=budget,
        kv_tokens=kv_tokens,
        prefix_hit_rate=round(0.8 * draw("hit rate"), 3) if within.prefix else 0.0,
    )


def _token_work(draw: Draw) -> IterationModel:
    return TokenWorkParameters(
        alpha_ms=log_between(draw("alpha"), 2, 30),
        beta_ms=log_between(draw("beta"), 0.01, 0.2),
        gamma_ms=log_between(draw("gamma"), 1e-6, 5e-4),
    )


def _linear(draw: Draw) -> IterationModel:
    return LinearParameters(
        alpha_ms=log_between(draw("alpha"), 2, 30),
        beta_ms=log_between(draw("beta"), 0.02, 1),
        gamma_ms=log_between(draw("gamma"), 0.5, 30),
        delta_ms=log_between(draw("delta"), 1e-4, 1e-2),
    )


def _curve(draw: Draw) -> IterationTable:
    """Return a table: decode flat up to a batch and rising then, prefill with a square term."""
    alpha = log_between(draw("alpha"), 2, 30)
    knee = log_between(draw("knee"), 4, 64)
    rise = log_between(draw("rise"), 0.2, 1.2)
    read = log_between(draw("read"), 1e-6, 1e-4)
    token = log_between(draw("token"), 0.02, 0.2)
    square = log_between(draw("square"), 1e-7, 4e-6)
    reading = log_between(draw("reading"), 1e-7, 1e-5)

    def decode_ms(batch: float, context: float) -> float:
        flat = alpha * math.pow(1 + (batch / knee) ** 2, rise / 2)
        return flat + read * batch * context

    def prefill_ms(tokens: float, context: float) -> float:
        # Short prompts do not fill the accelerator: 64 tokens take as long as one.
        return alpha + token * max(tokens - 64, 0) + square * tokens**2 + reading * context

    return tabulate(
        decode_ms,
        prefill_ms,
        batches=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        contexts=(64, 512, 2048, 8192, 32768),
        prefill_tokens=(1, 64, 256, 1024, 4096, 8192),
        prefill_contexts=(0, 8192, 65536),
        shared_ms=0.8 * alpha,
    )


PARAMETERS: Mapping[str, Callable[[Draw], IterationModel]] = {
    "token-work": _token_work,
    "linear": _linear,
    "curve": _curve,
}
"""How the parameters of a service-time model are drawn."""


def model_of(share: float) -> str:
    """Return the service-time model at that share of all."""
    for name, part in MODEL_SHARES:
        if share < part:
            return name
        share -= part
    return MODEL_SHARES[-1][0]


def log_between(share: float, low: float, high: float) -> float:
    """Return the number at that share of the way between two, by their logarithms."""
    return float(f"{low * (high / low) ** share:.4g}")


def _length_cv(share: float) -> float:
    return 0.0 if share < 0.2 else round(1.5 * (share - 0.2) / 0.8, 3)


def _arrival_cv(share: float) -> float:
    return 0.0 if share < 1 / 7 else round(2.0 * (share - 1 / 7) * 7 / 6, 3)


def longest(mean: float, cv: float) -> float:
    """Return a length that hardly any request exceeds."""
    variance = math.log1p(cv**2)
    return float(mean * math.exp(_LARGE_ENOUGH * math.sqrt(variance) - variance / 2))
