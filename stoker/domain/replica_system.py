"""What a question about replicas is about: replicas alike, or pools of prefill and of decode."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.profile import ServiceParameters
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True)
class RoutedReplicas:
    """Replicas alike behind a router.

    Attributes:
        replicas: How many, from 1.
        router: How a request finds one of them.
    """

    replicas: int = 1
    router: Router = Router.RANDOM


ALONE = RoutedReplicas()
"""One replica."""


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """Replicas of two pools.

    Attributes:
        prefill: Those that compute prompts, from 1.
        decode: Those that compute all further tokens, from 1.
    """

    prefill: int
    decode: int


@dataclass(frozen=True, slots=True)
class CardsToSplit:
    """Cards that two pools are to share as carries most.

    Attributes:
        cards: Cards for both pools.
        prefill_cards: Cards of a prefill replica.
        decode_cards: Cards of a decode replica.
    """

    cards: int
    prefill_cards: int = 1
    decode_cards: int = 1

    @property
    def splits(self) -> int:
        """Number of splits with a replica of each pool at least."""
        return max((self.cards - self.decode_cards) // self.prefill_cards, 0)


@dataclass(frozen=True, slots=True)
class PrefillReplica:
    """A replica that computes prompts for others to go on with.

    Attributes:
        parameters: Parameters of the service model.
        max_batch: Batch limit.
        token_budget: Tokens that one iteration computes at most.
        kv_tokens: KV capacity in tokens; None for no limit.
    """

    parameters: ServiceParameters
    max_batch: int
    token_budget: int
    kv_tokens: int | None


@dataclass(frozen=True, slots=True)
class TwoPools:
    """Prefill on one pool of replicas, decode on another, and a transfer between them.

    What a case says of its replica beside is that of the decode pool.

    Attributes:
        sizes: Replicas of both, or the cards that they share.
        prefill: A replica of the prefill pool.
        prefill_router: How a request finds its prefill replica.
        decode_router: How it finds its decode replica.
        transfer_ms: Time of a transfer of KV, whatever its size.
        transfer_ms_per_token: Further time for each input token.
    """

    sizes: PoolSizes | CardsToSplit
    prefill: PrefillReplica
    prefill_router: Router = Router.ROUND_ROBIN
    decode_router: Router = Router.SHORTEST_QUEUE
    transfer_ms: float = 0.0
    transfer_ms_per_token: float = 0.0
