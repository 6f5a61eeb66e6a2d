"""Time of the all-reduces that tensor parallelism adds to an iteration."""

from __future__ import annotations

import numpy as np

from queueing.arrays import FloatArray
from queueing.roofline import constants
from queueing.roofline.deployment import Deployment

_ALL_REDUCES_PER_LAYER = 2  # after attention and after the MLP (Shoeybi et al., Megatron-LM, 2019)
_US_PER_MS = 1e3
_BYTES_PER_VALUE = 2.0


def all_reduce_ms(deployment: Deployment, message_bytes: FloatArray) -> FloatArray:
    """Return the time of one all-reduce over the cards of a replica.

    A ring or its equal sends 2(N - 1)/N of the message over each card's link in each direction.
    Engines choose between direct reads (low latency) and the collective library (more bandwidth).

    Args:
        deployment: The model on its cards.
        message_bytes: Size of the message, any shape.
    """
    cards = deployment.tensor_parallel
    if cards == 1:
        return np.zeros_like(message_bytes)
    wire = message_bytes * 2.0 * (cards - 1) / cards
    one_way = deployment.accelerator.interconnect_gb_per_s / 2.0 * 1e6
    direct_us = constants.DIRECT_ALL_REDUCE_US + constants.DIRECT_ALL_REDUCE_PER_CARD_US * cards
    ring_us = constants.RING_ALL_REDUCE_US
    if deployment.accelerator.interconnect.upper().startswith("PCIE"):
        direct_us = ring_us = constants.PCIE_ALL_REDUCE_US
    direct = direct_us / _US_PER_MS + wire / (constants.DIRECT_ALL_REDUCE_SHARE * one_way)
    ring = ring_us / _US_PER_MS + wire / (constants.RING_ALL_REDUCE_SHARE * one_way)
    return np.minimum(direct, ring)


def exchange_ms(deployment: Deployment, tokens: FloatArray) -> FloatArray:
    """Return the time that cards exchange activations in one iteration over all layers."""
    message = tokens * deployment.model.hidden_size * _BYTES_PER_VALUE
    # One more: the embedding is shared out as well.
    count = _ALL_REDUCES_PER_LAYER * deployment.model.layers + 1
    return count * all_reduce_ms(deployment, message)
