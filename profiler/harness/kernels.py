"""Products with weights in fewer bits: the fast kernel of the device where it has one.

Every kernel is tried on a small matrix before it is used: one that fails, or computes something
else than the unpacked matrix, is passed over. What is left at the end unpacks the matrix and
multiplies, on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional

from profiler.harness.packing import (
    Packed,
    group_of,
    pack_fp8,
    pack_int4,
    pack_int8,
    unpack_fp8,
    unpack_int4,
    unpack_int8,
    whole_int4,
)
from profiler.harness.precision import WeightFormat

Operands = tuple[torch.Tensor, ...]

_TRIED_ROWS, _TRIED_COLUMNS, _TRIED_TOKENS = 256, 512, 16
_CLOSE = 0.05
"""Relative deviation, in the mean, of a fast kernel from the unpacked product: its rounding."""
_INNER_TILES = 8


@dataclass(frozen=True, slots=True)
class Kernel:
    """A way to multiply with packed weights.

    Attributes:
        name: What it is called in a profile.
        arrange: Puts a packed matrix into the tensors that `multiply` wants; nothing else is kept.
        multiply: Returns inputs (tokens, columns) times the matrix: (tokens, rows).
    """

    name: str
    arrange: Callable[[Packed], Operands]
    multiply: Callable[[torch.Tensor, Operands], torch.Tensor]


def kernel_for(weights: WeightFormat, dtype: torch.dtype, device: torch.device) -> Kernel:
    """Return the fastest kernel that works for a format of weights on a device."""
    return _kernel_for(weights, dtype, device.type)


@cache
def _kernel_for(weights: WeightFormat, dtype: torch.dtype, device: str) -> Kernel:
    candidates, pack, unpack = _FORMATS[weights]
    generator = torch.Generator(device).manual_seed(0)
    shape = (_TRIED_ROWS, _TRIED_COLUMNS)
    matrix = torch.randn(*shape, generator=generator, device=device).to(dtype)
    inputs = torch.randn(_TRIED_TOKENS, shape[1], generator=generator, device=device).to(dtype)
    packed = pack(matrix)
    expected = functional.linear(inputs.float(), unpack(packed, dtype).float())
    for kernel in candidates:
        if kernel.name.startswith(f"{device}-") and _works(kernel, packed, inputs, expected):
            return kernel
    return candidates[-1]


def _works(kernel: Kernel, packed: Packed, inputs: torch.Tensor, expected: torch.Tensor) -> bool:
    try:
        # More than one token and one alone take different kernels.
        for tokens in (inputs, inputs[:1]):
            answer = kernel.multiply(tokens, kernel.arrange(packed)).float()
            error = (answer - expected[: len(tokens)]).abs().mean() / expected.abs().mean()
            if not float(error) < _CLOSE:
                return False
    except (RuntimeError, NotImplementedError, AttributeError, TypeError, ValueError):
        return False
    return True


def _as_is(packed: Packed) -> Operands:
    return packed.values, packed.scales


def _int8_unpacked(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    values, scales = operands
    return functional.linear(inputs, values.to(inputs.dtype)) * scales.to(inputs.dtype).T


def _int8_rows(packed: Packed) -> Operands:
    return packed.values.contiguous(), packed.scales.flatten().contiguous()


def _int8_packed(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    values, scales = operands
    return torch._weight_int8pack_mm(inputs, values, scales)


def _int4_unpacked(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    return functional.linear(inputs, unpack_int4(Packed(*operands)).to(inputs.dtype))


def _int4_scales(packed: Packed) -> torch.Tensor:
    """Return scales and zeros as the kernels take them: (groups, rows, 2)."""
    scales = packed.scales.T.contiguous()
    return torch.stack([scales, torch.zeros_like(scales)], dim=2).contiguous()


def _int4_tiles_cuda(packed: Packed) -> Operands:
    tiles = torch._convert_weight_to_int4pack(packed.values.contiguous(), _INNER_TILES)
    return tiles, _int4_scales(packed)


def _int4_cuda(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    tiles, scales = operands
    return torch._weight_int4pack_mm(inputs, tiles, _group(inputs, scales), scales)


def _int4_tiles_cpu(packed: Packed) -> Operands:
    tiles = torch._convert_weight_to_int4pack_for_cpu(whole_int4(packed), 1)
    return tiles, _int4_scales(packed)


def _int4_cpu(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    tiles, scales = operands
    return torch._weight_int4pack_mm_for_cpu(inputs, tiles, _group(inputs, scales), scales)


def _group(inputs: torch.Tensor, scales: torch.Tensor) -> int:
    return inputs.shape[1] // scales.shape[0]


def _fp8_unpacked(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    return functional.linear(inputs, unpack_fp8(Packed(*operands), inputs.dtype))


def _fp8_rowwise(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    """Multiply in 8 bits with a scale for each token, taken from its largest value."""
    values, scales = operands
    largest = torch.finfo(values.dtype).max
    each = (inputs.abs().amax(dim=1, keepdim=True).float() / largest).clamp_min(1e-12)
    small = (inputs.float() / each).to(values.dtype)
    return torch._scaled_mm(small, values.T, scale_a=each, scale_b=scales.T, out_dtype=inputs.dtype)


def _fp8_tensorwise(inputs: torch.Tensor, operands: Operands) -> torch.Tensor:
    """Multiply in 8 bits with one scale for all tokens; the scales of rows come afterwards."""
    values, scales = operands
    largest = torch.finfo(values.dtype).max
    all_of_them = (inputs.abs().amax().float() / largest).clamp_min(1e-12)
    small = (inputs.float() / all_of_them).to(values.dtype)
    one = torch.ones((), device=inputs.device)
    product = torch._scaled_mm(
        small, values.T, scale_a=all_of_them, scale_b=one, out_dtype=inputs.dtype
    )
    return product * scales.T.to(inputs.dtype)


_INT8 = (
    Kernel("cuda-int8-packed", _int8_rows, _int8_packed),
    Kernel("cpu-int8-packed", _int8_rows, _int8_packed),
    Kernel("int8-unpacked", _as_is, _int8_unpacked),
)
_INT4 = (
    Kernel("cuda-int4-tiles", _int4_tiles_cuda, _int4_cuda),
    Kernel("cpu-int4-tiles", _int4_tiles_cpu, _int4_cpu),
    Kernel("int4-unpacked", _as_is, _int4_unpacked),
)
_FP8 = (
    Kernel("cuda-fp8-rowwise", _as_is, _fp8_rowwise),
    Kernel("cuda-fp8-tensorwise", _as_is, _fp8_tensorwise),
    Kernel("fp8-unpacked", _as_is, _fp8_unpacked),
)

_Formats = dict[
    WeightFormat,
    tuple[
        tuple[Kernel, ...],
        Callable[[torch.Tensor], Packed],
        Callable[[Packed, torch.dtype], torch.Tensor],
    ],
]
_FORMATS: _Formats = {
    WeightFormat.INT8: (_INT8, pack_int8, lambda packed, _: unpack_int8(packed)),
    WeightFormat.INT4: (_INT4, pack_int4, lambda packed, _: unpack_int4(packed)),
    WeightFormat.FP8: (_FP8, pack_fp8, unpack_fp8),
}


def pack(weights: WeightFormat, matrix: torch.Tensor) -> Packed:
    """Return a matrix packed in a format with scales."""
    return _FORMATS[weights][1](matrix)


def packable(weights: WeightFormat, columns: int) -> bool:
    """Return whether rows of that many inputs can be packed in a format."""
    if weights is not WeightFormat.INT4:
        return True
    try:
        group_of(columns)
    except ValueError:
        return False
    return True


def computes_in_fp8(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the device multiplies 8-bit floats itself."""
    return kernel_for(WeightFormat.FP8, dtype, device).name != _FP8[-1].name
