"""Model profiles: how fast a model runs on an accelerator, and where that figure comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.curve import IterationTable
from stoker.domain.serving import Disaggregation, Parallelism

DEFAULT_TOKEN_BUDGET = 8192
"""Tokens that one iteration computes at most, where nothing says otherwise."""


class EstimateKind(StrEnum):
    """Where a figure comes from, the most trustworthy first."""

    MEASURED = "measured"
    """Measured on the accelerator named."""
    FITTED = "fitted"
    """Parameters fitted to published or own measurements."""
    ESTIMATED = "estimated"
    """Derived from specifications, never measured."""
    DECLARED = "declared"
    """Stated by the document without telling its origin."""

    def at_least(self, other: EstimateKind) -> bool:
        """Return whether a figure of this kind can be trusted as much as one of another."""
        order = list(EstimateKind)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of a profile.

    Attributes:
        kind: How the figures were obtained.
        source: Where from, in words; empty where the document does not say.
    """

    kind: EstimateKind = EstimateKind.DECLARED
    source: str = ""


@dataclass(frozen=True, slots=True)
class LinearParameters:
    """Parameters of the `linear` service model, with n requests in service and L input tokens.

    Decode iteration: alpha_ms + beta_ms * n. Prefill: gamma_ms + delta_ms * L * n.
    """

    alpha_ms: float
    beta_ms: float
    gamma_ms: float
    delta_ms: float


@dataclass(frozen=True, slots=True)
class TokenWorkParameters:
    """Parameters of the `token-work` service model.

    Iteration: alpha_ms + beta_ms * tokens computed + gamma_ms * KV tokens read.
    """

    alpha_ms: float
    beta_ms: float
    gamma_ms: float


@dataclass(frozen=True, slots=True)
class OverlapParameters:
    """Parameters of the `overlap` service model: memory traffic and computing side by side.

    With d sequences decoding at mean context c, and prompts of which x tokens are computed that
    attend to r pairs of tokens, an iteration takes base_ms + the larger of weights_ms and
    token_ms * (d + x) + sequence_ms * d + kv_token_ms * d * c + attention_ms * r, and prompts_ms
    more where it computes prompts at all. The larger of the two is taken smoothly.

    A first token reaches its reader later than its iteration ends, by first_token_ms +
    first_token_sequence_ms * d + first_token_output_ms * output tokens of the request. That time
    does not occupy the engine.

    Attributes:
        base_ms: What every iteration takes (scheduling, launches).
        weights_ms: Reading the weights once, during which tokens are computed.
        token_ms: Computing a token.
        sequence_ms: Handling a decoding sequence.
        kv_token_ms: Reading a token of KV memory in decode.
        attention_ms: Attending from a prompt token to one before it.
        prompts_ms: What an iteration with prompts takes beyond one without.
        first_token_ms: Delay of a first token outside the engine.
        first_token_sequence_ms: The same for each sequence decoding.
        first_token_output_ms: The same for each output token that the request asks for.
    """

    base_ms: float
    weights_ms: float
    token_ms: float
    sequence_ms: float
    kv_token_ms: float
    attention_ms: float
    prompts_ms: float
    first_token_ms: float = 0.0
    first_token_sequence_ms: float = 0.0
    first_token_output_ms: float = 0.0

    @property
    def engine_times_ms(self) -> tuple[float, ...]:
        """The parameters that take engine time, in the order of the fields."""
        return (
            self.base_ms,
            self.weights_ms,
            self.token_ms,
            self.sequence_ms,
            self.kv_token_ms,
            self.attention_ms,
            self.prompts_ms,
        )

    @property
    def delays_ms(self) -> tuple[float, float, float]:
        """The parameters that delay first tokens: fixed, by sequence, by output token."""
        return self.first_token_ms, self.first_token_sequence_ms, self.first_token_output_ms


ServiceParameters = LinearParameters | TokenWorkParameters | IterationTable | OverlapParameters
"""Parameters of a service model: `linear`, `token-work`, `curve` or `overlap`."""


def all_zero(parameters: ServiceParameters) -> bool:
    """Return whether all engine time is zero, which describes no hardware at all."""
    match parameters:
        case LinearParameters(alpha, beta, gamma, delta):
            return not (alpha or beta or gamma or delta)
        case TokenWorkParameters(alpha, beta, gamma):
            return not (alpha or beta or gamma)
        case IterationTable():
            grids = (*parameters.decode_ms, *parameters.prefill_ms)
            return not any(any(row) for row in grids)
        case OverlapParameters():
            return not any(parameters.engine_times_ms)


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """Performance of one replica of a model on an accelerator, in one configuration of it.

    Where a replica has several engines (``parallel.data``), batch, KV memory and parameters are
    those of each.

    Attributes:
        model: Name of the model.
        accelerator: Name of the accelerator configuration.
        accelerators_per_replica: Units of the configuration that one replica takes.
        max_batch: Largest number of requests in service, measured at `at_tokens`.
        at_tokens: Output tokens per request at which `max_batch` holds.
        parameters: Parameters of the service model.
        provenance: Where the figures come from.
        required_memory_gb: Memory that a replica needs before its first request (weights and
            runtime), in GB over all its units; None where unknown.
        kv_tokens: Tokens that the KV memory of a replica holds; None where unknown, which counts
            as no limit beside the batch limit.
        token_budget: Tokens that one iteration computes at most.
        configuration: Name that tells it from other profiles of the model on the accelerator, e.g.
            ``tp2`` or ``fp8``; empty for none.
        parallel: How the cards of a replica share its work; None where that is not told.
        disaggregated: How replicas of this profile may decode for a prefill pool; None where they
            may not.
    """

    model: str
    accelerator: str
    accelerators_per_replica: int
    max_batch: int
    at_tokens: int
    parameters: ServiceParameters
    provenance: Provenance = Provenance()
    required_memory_gb: float | None = None
    kv_tokens: int | None = None
    token_budget: int = DEFAULT_TOKEN_BUDGET
    configuration: str = ""
    parallel: Parallelism | None = None
    disaggregated: Disaggregation | None = None

    @property
    def engines(self) -> int:
        """Engines of one replica, each with requests of its own."""
        return 1 if self.parallel is None else self.parallel.data

    def batch_limit(self, output_tokens: float) -> int:
        """Return the batch limit for requests of that many output tokens, at least 1.

        The memory that held `max_batch` requests of `at_tokens` tokens is shared by requests of
        another length: max(1, floor(max_batch * at_tokens / output_tokens)).
        """
        if output_tokens <= 0:
            return max(1, self.max_batch)
        return max(1, math.floor(self.max_batch * self.at_tokens / output_tokens))
