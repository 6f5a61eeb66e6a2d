"""Memory of a replica: weights on each card, and the KV cache that fits beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from queueing.roofline import constants
from queueing.roofline.deployment import Deployment, allowed_tensor_parallel
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec, Precision

_GB = 1e9


@dataclass(frozen=True, slots=True)
class KvRoom:
    """What of a card's memory is left for KV.

    Attributes:
        weights_gb_per_card: Weights on one card.
        engine_gb_per_card: Memory that the engine may take, `ENGINE_MEMORY_SHARE` of the card.
        kv_bytes_per_token_card: KV bytes of one token on one card, all layers in full.
        kv_tokens: Tokens whose KV fits; 0 where not even the weights do.
    """

    weights_gb_per_card: float
    engine_gb_per_card: float
    kv_bytes_per_token_card: float
    kv_tokens: int

    def largest_batch(self, context_tokens: float) -> int:
        """Return how many sequences of that context fit at once; 0 where none does."""
        return math.floor(self.kv_tokens / max(context_tokens, 1.0))


def weight_bytes_per_card(deployment: Deployment) -> float:
    """Return the bytes of weights that one card holds; all of them are shared out."""
    model = deployment.model
    weights = model.weight_bytes(deployment.weight_precision, deployment.weight_precision)
    return weights / deployment.tensor_parallel


def kv_room(deployment: Deployment) -> KvRoom:
    """Return what memory the weights leave for KV.

    Layers with a window are counted in full, as engines without a hybrid cache keep them.
    """
    weights = weight_bytes_per_card(deployment)
    usable = constants.ENGINE_MEMORY_SHARE * deployment.accelerator.memory_gb * _GB
    per_token = (
        deployment.model.layers
        * deployment.kv_values_per_token_layer
        * deployment.kv_precision.bytes_per_value
    )
    return KvRoom(
        weights_gb_per_card=weights / _GB,
        engine_gb_per_card=usable / _GB,
        kv_bytes_per_token_card=per_token,
        kv_tokens=max(0, math.floor((usable - weights) / per_token)),
    )


def smallest_tensor_parallel(
    model: ModelArchitecture,
    accelerator: AcceleratorSpec,
    context_tokens: float,
    weight_precision: Precision | None = None,
    kv_precision: Precision = Precision.BF16,
) -> int | None:
    """Return the fewest cards that hold the weights and one sequence of that context.

    Powers of two are looked at first, as machines have them; then every number up to 64 that
    shares the heads evenly. None where none does.
    """
    base = Deployment(model, accelerator, 1, weight_precision, kv_precision)
    allowed = allowed_tensor_parallel(model)
    for cards in sorted(allowed, key=lambda n: (n.bit_count() != 1, n)):
        room = kv_room(replace(base, tensor_parallel=cards))
        if room.largest_batch(context_tokens) >= 1:
            return cards
    return None
