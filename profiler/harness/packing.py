"""Weights in fewer bits: how they are stored, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

GROUP = 128
"""Inputs that share a scale of a 4-bit weight."""

_INT8_LARGEST = 127.0
_INT4_LARGEST = 7.0
_INT4_ZERO = 8
_FP8 = torch.float8_e4m3fn
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A matrix in fewer bits.

    Attributes:
        values: What is stored: int8 or float8 (rows, columns), or uint8 (rows, columns / 2) with
            two 4-bit weights a byte, the first one in the upper half.
        scales: What a stored unit is worth: (rows, 1), or (rows, groups) of 4-bit weights.
    """

    values: torch.Tensor
    scales: torch.Tensor

    @property
    def stored_bytes(self) -> int:
        """Bytes that it takes."""
        return self.values.nbytes + self.scales.nbytes


def group_of(columns: int) -> int:
    """Return how many inputs of a row share a scale of 4-bit weights: `GROUP`, or what divides.

    Raises:
        ValueError: No group of 32 or more divides the columns.
    """
    for size in (GROUP, 64, 32):
        if columns % size == 0:
            return size
    raise ValueError(f"{columns} inputs of a matrix are no multiple of 32, as 4-bit weights need")


def pack_int8(matrix: torch.Tensor) -> Packed:
    """Return a matrix in 8-bit whole numbers, a scale for each row."""
    scales = (matrix.float().abs().amax(dim=1, keepdim=True) / _INT8_LARGEST).clamp_min(_TINY)
    values = torch.round(matrix.float() / scales).to(torch.int8)
    return Packed(values, scales.to(matrix.dtype))


def unpack_int8(packed: Packed) -> torch.Tensor:
    """Return the matrix that 8-bit weights stand for."""
    return packed.values.to(packed.scales.dtype) * packed.scales


def pack_int4(matrix: torch.Tensor) -> Packed:
    """Return a matrix in 4-bit whole numbers, two a byte, a scale for each group of inputs."""
    rows, columns = matrix.shape
    grouped = matrix.float().reshape(rows, columns // group_of(columns), -1)
    scales = (grouped.abs().amax(dim=2) / _INT4_LARGEST).clamp_min(_TINY)
    whole = torch.round(grouped / scales[:, :, None]).to(torch.int32) + _INT4_ZERO
    pairs = whole.clamp(0, 15).reshape(rows, columns).to(torch.uint8)
    values = (pairs[:, ::2] << 4) | pairs[:, 1::2]
    return Packed(values, scales.to(matrix.dtype))


def whole_int4(packed: Packed) -> torch.Tensor:
    """Return 4-bit weights one by one, 0 to 15 with 8 as zero: int32 (rows, columns)."""
    upper, lower = packed.values >> 4, packed.values & 15
    return torch.stack([upper, lower], dim=2).flatten(1).to(torch.int32)


def unpack_int4(packed: Packed) -> torch.Tensor:
    """Return the matrix that 4-bit weights stand for."""
    whole = whole_int4(packed).to(packed.scales.dtype) - _INT4_ZERO
    rows, columns = whole.shape
    grouped = whole.reshape(rows, packed.scales.shape[1], -1) * packed.scales[:, :, None]
    return grouped.reshape(rows, columns)


def pack_fp8(matrix: torch.Tensor) -> Packed:
    """Return a matrix in 8-bit floats (E4M3), a scale for each row."""
    largest = torch.finfo(_FP8).max
    scales = (matrix.float().abs().amax(dim=1, keepdim=True) / largest).clamp_min(_TINY)
    return Packed((matrix.float() / scales).to(_FP8), scales)


def unpack_fp8(packed: Packed, dtype: torch.dtype) -> torch.Tensor:
    """Return the matrix that 8-bit floats stand for."""
    return (packed.values.to(torch.float32) * packed.scales).to(dtype)
