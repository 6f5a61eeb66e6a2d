"""One operating point of a replica, and its plain form in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

from simulator import (
    ClosedLoop,
    Engine,
    GammaArrivals,
    IterationModel,
    IterationTable,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
)
from stoker.domain.profile import LinearParameters, TokenWorkParameters

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

KINDS: Mapping[str, type[TokenWorkParameters | LinearParameters | IterationTable]] = {
    "token-work": TokenWorkParameters,
    "linear": LinearParameters,
    "curve": IterationTable,
}


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica and the requests it serves, without their rate.

    Attributes:
        family: Which part of the drawing it comes from.
        parameters: Time of an iteration.
        input_tokens: Mean input tokens of a request.
        output_tokens: Mean output tokens.
        input_cv: Coefficient of variation of the input tokens (lognormal); 0 is a fixed length.
        output_cv: The same of the output tokens.
        arrival_cv: Coefficient of variation of the times between arrivals (gamma).
        max_batch: Most requests in service.
        token_budget: Most tokens that an iteration computes.
        kv_tokens: KV capacity; None for no limit.
        prefix_hit_rate: Share of each prompt that is in KV already.
    """

    family: str
    parameters: IterationModel
    input_tokens: float
    output_tokens: float
    input_cv: float
    output_cv: float
    arrival_cv: float
    max_batch: int
    token_budget: int
    kv_tokens: int | None
    prefix_hit_rate: float

    @property
    def kind(self) -> str:
        """Return the name of the service-time model."""
        return next(name for name, kind in KINDS.items() if isinstance(self.parameters, kind))

    @property
    def engine(self) -> Engine:
        """Return the engine to simulate, with a queue that never turns anybody away."""
        return Engine(
            self.parameters,
            max_batch=self.max_batch,
            max_queue=None,
            token_budget=self.token_budget,
            kv_tokens=self.kv_tokens,
        )

    def scenario(self, rate_rps: float, requests: int, seed: int) -> Scenario:
        """Return the simulation of the replica at a rate."""
        return self._scenario(GammaArrivals(rate_rps, self.arrival_cv), requests, seed)

    def crowded(self, requests: int, seed: int) -> Scenario:
        """Return the simulation of twice as many clients as the batch holds."""
        return self._scenario(ClosedLoop(2 * self.max_batch + 2), requests, seed)

    def _scenario(self, arrivals: GammaArrivals | ClosedLoop, requests: int, seed: int) -> Scenario:
        lengths = SeparateLengths(
            LognormalLength(self.input_tokens, self.input_cv),
            LognormalLength(self.output_tokens, self.output_cv),
        )
        return Scenario(
            arrivals,
            lengths,
            Pool(self.engine),
            requests,
            seed=seed,
            prefix_hit_rate=self.prefix_hit_rate,
        )

    def to_json(self) -> dict[str, Json]:
        """Return the plain form."""
        plain: dict[str, Json] = json.loads(json.dumps(asdict(self)))
        plain["parameters"] = {"kind": self.kind, **json.loads(json.dumps(asdict(self.parameters)))}
        return plain

    def key(self) -> str:
        """Return a name of the replica that changes with any of its fields but the family."""
        plain = json.dumps(replace(self, family="").to_json(), sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A replica and the share of its simulated saturation throughput that is offered.

    Attributes:
        replica: The replica.
        load: Offered rate over saturation throughput.
        seed: Of the simulation.
    """

    replica: Replica
    load: float
    seed: int
