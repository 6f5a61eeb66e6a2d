"""What devices that share a model say to each other while an iteration runs."""

from __future__ import annotations

from typing import Protocol

import torch


class Communicator(Protocol):
    """A device among those that share each layer."""

    @property
    def rank(self) -> int:
        """Which one this is, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over devices, in place."""
        ...

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Return what every device has, joined along the last axis."""
        ...

    def least(self, value: int) -> int:
        """Return the least of what devices tell."""
        ...


class Alone:
    """A device that has the whole model."""

    rank = 0
    size = 1

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return what it has."""
        return values

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Return what it has."""
        return values

    def least(self, value: int) -> int:
        """Return what it tells."""
        return value
