"""A small feed-forward network: a smooth function of several numbers, fitted to many examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray

_Single = npt.NDArray[np.float32]

_FADES_OVER = 1.0
"""Standard deviations beyond the examples, of all inputs together, over which trust falls to
1/e."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Layers of weighted sums, each but the last bent by tanh.

    Attributes:
        low: least input that the examples have, array (inputs,); inputs are held within.
        high: likewise the largest.
        centre: what is taken off the inputs, array (inputs,).
        scale: what they are divided by.
        weights: of each layer, arrays (inputs, outputs).
        biases: of each layer, arrays (outputs,).
    """

    low: FloatArray
    high: FloatArray
    centre: FloatArray
    scale: FloatArray
    weights: tuple[_Single, ...]
    biases: tuple[_Single, ...]

    def __call__(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return outputs, array (outputs, cases), and how far to trust them, 1 to 0.

        Trust falls with the distance of the inputs from the range of the examples.

        Args:
            inputs: array (inputs, cases); what is not a number counts as the centre.
        """
        column = (slice(None), None)
        plain = np.where(np.isnan(inputs), self.centre[column], inputs)
        held = np.clip(plain, self.low[column], self.high[column])
        beyond = np.abs(plain - held) / self.scale[column]
        values = ((held - self.centre[column]) / self.scale[column]).astype(np.float32)
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.tanh(weights.T @ values + biases[column])
        outputs = self.weights[-1].T @ values + self.biases[-1][column]
        trust: FloatArray = np.exp(-beyond.sum(axis=0) / _FADES_OVER)
        return outputs.astype(np.float64), trust

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return all numbers by name, for a file."""
        named = {name: getattr(self, name) for name in ("low", "high", "centre", "scale")}
        for index, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"weights{index}": weights, f"biases{index}": biases}
        return {name: values.astype(np.float32) for name, values in named.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[np.float32]]) -> Self:
        """Return the network that `arrays` came from."""
        layers = sum(name.startswith("weights") for name in arrays)
        low, high, centre, scale = (
            arrays[name].astype(np.float64) for name in ("low", "high", "centre", "scale")
        )
        return cls(
            low,
            high,
            centre,
            scale,
            weights=tuple(arrays[f"weights{index}"] for index in range(layers)),
            biases=tuple(arrays[f"biases{index}"] for index in range(layers)),
        )
