"""Where weights come from: random matrices, the same for every layout of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import torch


class WeightSource(Protocol):
    """Gives each matrix of the model by its name."""

    def matrix(self, name: str, rows: int, columns: int) -> torch.Tensor:
        """Return a matrix of outputs by inputs, (rows, columns)."""
        ...

    def scale(self, name: str, size: int) -> torch.Tensor:
        """Return the weights of a norm, (size,)."""
        ...


@dataclass(frozen=True, slots=True)
class RandomWeights:
    """Normal values whose products neither grow nor vanish; each matrix has its own seed.

    So the same matrix comes out whatever was drawn before it, on every device of a group.

    Attributes:
        seed: Seed of all of them.
        device: Device to draw on.
        dtype: Type of what is returned.
    """

    seed: int
    device: torch.device
    dtype: torch.dtype

    def matrix(self, name: str, rows: int, columns: int) -> torch.Tensor:
        """Return normal values of variance 1 / columns."""
        generator = torch.Generator(self.device).manual_seed(self._seed(name))
        # Drawn in the final type: a matrix of a large model in 32 bits would be a waste of memory.
        values = torch.empty(rows, columns, device=self.device, dtype=self.dtype)
        return values.normal_(0.0, columns**-0.5, generator=generator)

    def scale(self, name: str, size: int) -> torch.Tensor:
        """Return ones."""
        return torch.ones(size, device=self.device, dtype=self.dtype)

    def _seed(self, name: str) -> int:
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:7], "big")
