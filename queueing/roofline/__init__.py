"""Estimates from specifications: iteration times and memory of pairs that nobody has measured.

Every figure from here is an estimate (`EstimateKind.ESTIMATED`). Inside one kernel, reading and
computing overlap, so a kernel takes the longer of the two; kernels run one after the other, so an
iteration takes their sum, with all-reduces and fixed overheads between them. The constants are in
`queueing.roofline.constants`, each with its source.
"""

from queueing.roofline.answer import DecodePoint, Estimate, PrefillPoint, estimate
from queueing.roofline.deployment import Deployment, Engine
from queueing.roofline.memory import (
    KvRoom,
    kv_room,
    smallest_tensor_parallel,
    weight_bytes_per_card,
)
from queueing.roofline.reduction import OperatingRange, TokenWorkFit, profile, reduce_to_token_work
from queueing.roofline.tabulation import TableFit, tabulate_estimate
from queueing.roofline.times import Bound, IterationTime, decode_time, prefill_time

__all__ = [
    "Bound",
    "DecodePoint",
    "Deployment",
    "Engine",
    "Estimate",
    "IterationTime",
    "KvRoom",
    "OperatingRange",
    "PrefillPoint",
    "TableFit",
    "TokenWorkFit",
    "decode_time",
    "estimate",
    "kv_room",
    "prefill_time",
    "profile",
    "reduce_to_token_work",
    "smallest_tensor_parallel",
    "tabulate_estimate",
    "weight_bytes_per_card",
]
