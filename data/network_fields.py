"""Fields of a case that is about several replicas: behind a router, or in two pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, InstanceOf

from data.given_fields import allowed_values
from data.replica_fields import (
    LARGEST_BATCH,
    LARGEST_COUNT,
    SMALLEST_KV,
    CaseDocument,
    Count,
)
from data.service_fields import ALLOWED_NUMBER, ALLOWED_SERVICE, Number
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import (
    DEFAULT_TOKEN_BUDGET,
    LinearParameters,
    OverlapParameters,
    TokenWorkParameters,
)
from stoker.domain.replica_system import (
    CardsToSplit,
    PoolSizes,
    PrefillReplica,
    RoutedReplicas,
    TwoPools,
)
from stoker.domain.routing import Router

LARGEST_FLEET = 10_000
"""Most replicas of a fleet or a pool."""

LARGEST_CARDS = 1024
"""Most cards to split: each of the splits is sized."""

ROUTERS: Mapping[str, Router] = {router.label: router for router in Router}
"""Routers by name; underscores do as well as hyphens."""

PREFILL_PARAMETERS = "prefillParameters"
"""The field that holds an object of parameters."""

_SIZES = ("prefillReplicas", "decodeReplicas")
_CARDS = ("prefillCards", "decodeCards")
_TWO_POOLS = "prefillReplicas and decodeReplicas, or cards"


def _router(value: object) -> Router:
    name = value.replace("_", "-") if isinstance(value, str) else ""
    if name not in ROUTERS:
        raise ValueError("unknown")
    return ROUTERS[name]


_Router = Annotated[InstanceOf[Router], BeforeValidator(_router)]
_ROUTERS = f"one of {', '.join(ROUTERS)}"
_REPLICAS = f"a whole number from 1 to {LARGEST_FLEET}"
_CARDS_OF_ONE = f"a whole number from 1 to {LARGEST_CARDS}"


class NetworkDocument(CaseDocument):
    """A case that may be about several replicas; each description says what is allowed."""

    replicas: Count = Field(1, ge=1, le=LARGEST_FLEET, description=_REPLICAS)
    router: _Router = Field(Router.RANDOM, description=_ROUTERS)
    prefill_replicas: Count | None = Field(
        None, alias="prefillReplicas", ge=1, le=LARGEST_FLEET, description=_REPLICAS
    )
    decode_replicas: Count | None = Field(
        None, alias="decodeReplicas", ge=1, le=LARGEST_FLEET, description=_REPLICAS
    )
    cards: Count | None = Field(
        None, ge=2, le=LARGEST_CARDS, description=f"a whole number from 2 to {LARGEST_CARDS}"
    )
    prefill_cards: Count = Field(
        1, alias="prefillCards", ge=1, le=LARGEST_CARDS, description=_CARDS_OF_ONE
    )
    decode_cards: Count = Field(
        1, alias="decodeCards", ge=1, le=LARGEST_CARDS, description=_CARDS_OF_ONE
    )
    prefill_router: _Router = Field(Router.ROUND_ROBIN, alias="prefillRouter", description=_ROUTERS)
    decode_router: _Router = Field(
        Router.SHORTEST_QUEUE, alias="decodeRouter", description=_ROUTERS
    )
    prefill_max_batch: Count | None = Field(
        None,
        alias="prefillMaxBatchSize",
        ge=1,
        le=LARGEST_BATCH,
        description=f"a whole number from 1 to {LARGEST_BATCH}",
    )
    prefill_token_budget: Count | None = Field(
        None,
        alias="prefillMaxNumTokens",
        ge=0,
        le=LARGEST_COUNT,
        description=f"a whole number from 1 to {LARGEST_COUNT}, or 0 for {DEFAULT_TOKEN_BUDGET}",
    )
    prefill_kv_tokens: Count | None = Field(
        None,
        alias="prefillKvTokens",
        ge=SMALLEST_KV,
        le=LARGEST_COUNT,
        description=f"tokens of KV memory: a whole number from {SMALLEST_KV} to {LARGEST_COUNT}",
    )
    prefill_parameters: (
        InstanceOf[LinearParameters]
        | InstanceOf[TokenWorkParameters]
        | InstanceOf[IterationTable]
        | InstanceOf[OverlapParameters]
        | None
    ) = Field(None, alias=PREFILL_PARAMETERS, description=ALLOWED_SERVICE)
    transfer_ms: Number = Field(
        0.0, alias="transferMs", description=f"milliseconds: {ALLOWED_NUMBER}"
    )
    transfer_ms_per_token: Number = Field(
        0.0, alias="transferMsPerToken", description=f"milliseconds: {ALLOWED_NUMBER}"
    )

    ENGINE_TERMS: ClassVar[frozenset[str]] = CaseDocument.ENGINE_TERMS | frozenset(
        {
            "replicas",
            "router",
            "prefill_replicas",
            "decode_replicas",
            "cards",
            "prefill_cards",
            "decode_cards",
            "prefill_router",
            "decode_router",
            "prefill_max_batch",
            "prefill_token_budget",
            "prefill_kv_tokens",
            "prefill_parameters",
            "transfer_ms",
            "transfer_ms_per_token",
        }
    )

    def system(self, file: str = "") -> RoutedReplicas | TwoPools:
        """Return which replicas the case is about.

        Raises:
            InvalidInputError: The cards are too few for a replica of each pool.
        """
        sizes: PoolSizes | CardsToSplit
        if self.cards is not None:
            least = self.prefill_cards + self.decode_cards
            if self.cards < least:
                allowed = f"{least} to {LARGEST_CARDS}: a replica of each pool takes {least}"
                raise InvalidInputError([Problem("cards", f"is {self.cards}", allowed, file)])
            sizes = CardsToSplit(self.cards, self.prefill_cards, self.decode_cards)
        elif self.prefill_replicas is not None and self.decode_replicas is not None:
            sizes = PoolSizes(self.prefill_replicas, self.decode_replicas)
        else:
            return RoutedReplicas(self.replicas, self.router)
        budget = self.prefill_token_budget
        prefill = PrefillReplica(
            self.prefill_parameters or self.parameters(),
            self.prefill_max_batch or self.max_batch,
            (self.token_budget if budget is None else budget) or DEFAULT_TOKEN_BUDGET,
            self.prefill_kv_tokens or self.kv_tokens,
        )
        return TwoPools(
            sizes,
            prefill,
            self.prefill_router,
            self.decode_router,
            self.transfer_ms,
            self.transfer_ms_per_token,
        )


FIELDS: tuple[str, ...] = tuple(
    name for name in allowed_values(NetworkDocument) if name not in allowed_values(CaseDocument)
)
"""Names of the fields for several replicas, as the format spells them."""


def network_problems(
    fields: Mapping[str, object], allowed: Mapping[str, str], file: str
) -> list[Problem]:
    """Return which fields for several replicas do not go together, or are missing.

    Args:
        fields: The fields given, by the name that the format spells.
        allowed: What each field may hold, in words.
        file: Name of the file for messages.
    """

    def told(names: tuple[str, ...], message: str, instead: str) -> list[Problem]:
        return [Problem(name, message, instead, file) for name in names if name in fields]

    pools = [name for name in ("cards", *_SIZES) if name in fields]
    if not pools:
        others = tuple(name for name in FIELDS if name not in ("replicas", "router"))
        return told(others, "is given without pools", f"beside {_TWO_POOLS}")
    problems = told(("replicas",), f"is given beside {pools[0]}", _TWO_POOLS)
    problems += told(("router",), f"is given beside {pools[0]}", "prefillRouter and decodeRouter")
    if pools[0] == "cards":
        return problems + told(_SIZES, "is given beside cards", "cards, or the replicas of both")
    problems += told(_CARDS, "is given without cards", "beside cards, which are split")
    return problems + [
        Problem(name, "is missing", allowed[name], file) for name in _SIZES if name not in fields
    ]
