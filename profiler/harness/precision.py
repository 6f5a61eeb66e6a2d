"""Number formats of activations and of stored weights, and what of them a device can do."""

from __future__ import annotations

from enum import StrEnum

import torch


class Activation(StrEnum):
    """Format of activations, norms and KV cache."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"

    @property
    def dtype(self) -> torch.dtype:
        """The type in torch."""
        return _DTYPES[self]


class WeightFormat(StrEnum):
    """Format in which the matrices of layers and output head are stored."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"

    @property
    def plain(self) -> bool:
        """Whether the values are stored as they are, without scales."""
        return self in (WeightFormat.FP32, WeightFormat.FP16, WeightFormat.BF16)


_DTYPES = {
    Activation.FP32: torch.float32,
    Activation.FP16: torch.float16,
    Activation.BF16: torch.bfloat16,
}
