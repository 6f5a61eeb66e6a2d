"""Products with weights, stored as they are or packed."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from profiler.harness.kernels import kernel_for, pack, packable
from profiler.harness.precision import WeightFormat


class Projection(nn.Module):
    """A product with a matrix of outputs by inputs, in any format of weights.

    Only what the kernel reads is kept: packed weights take the memory of packed weights.
    """

    def __init__(self, matrix: torch.Tensor, weights: WeightFormat) -> None:
        """Store a matrix.

        Args:
            matrix: The matrix, (rows, columns), in the type of activations.
            weights: Format to store it in.

        Raises:
            ValueError: Its rows cannot be packed in that format.
        """
        super().__init__()
        self.kernel = None
        if weights.plain:
            operands: tuple[torch.Tensor, ...] = (matrix.contiguous(),)
        elif not packable(weights, matrix.shape[1]):
            raise ValueError(
                f"a matrix of {matrix.shape[1]} inputs cannot be stored as {weights.value} "
                "(allowed: multiples of 32)"
            )
        else:
            self.kernel = kernel_for(weights, matrix.dtype, matrix.device)
            operands = self.kernel.arrange(pack(weights, matrix))
        self.count = len(operands)
        for index, operand in enumerate(operands):
            self.register_buffer(f"operand{index}", operand)

    @property
    def operands(self) -> tuple[torch.Tensor, ...]:
        """The tensors that are stored."""
        return tuple(self.get_buffer(f"operand{index}") for index in range(self.count))

    @property
    def stored_bytes(self) -> int:
        """Bytes that they take."""
        return sum(operand.nbytes for operand in self.operands)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return inputs (tokens, columns) times the matrix: (tokens, rows)."""
        if self.kernel is None:
            return functional.linear(inputs, self.operands[0])
        return self.kernel.multiply(inputs, self.operands)
