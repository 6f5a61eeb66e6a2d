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
    """Layers of weighted sums, each but the last bent (`bend`).

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
        with np.errstate(over="ignore"):
            plain = np.empty(inputs.shape, dtype=np.float32)
            np.subtract(inputs, self.centre[:, None], out=plain, casting="same_kind")
            plain *= _column(1.0 / self.scale)
        values = np.maximum(plain, _column((self.low - self.centre) / self.scale))
        np.minimum(values, _column((self.high - self.centre) / self.scale), out=values)
        plain -= values
        beyond = np.abs(plain, out=plain).sum(axis=0, dtype=np.float32).astype(np.float64)
        if np.any(np.isnan(beyond)):
            return self(np.where(np.isnan(inputs), self.centre[:, None], inputs))
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = weights.T @ values
            values += biases[:, None]
            bend(values)
        outputs = self.weights[-1].T @ values + self.biases[-1][:, None]
        trust: FloatArray = np.exp(-beyond / _FADES_OVER)
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


def bend(values: _Single) -> _Single:
    """Bend sums in place, u to u(1 + tanh u), and return 1 + tanh u.

    It is smooth, 0 far below and 2u far above: x times the logistic function of x, for x = 2u
    (Elfwing, Uchibe and Doya, Sigmoid-weighted linear units, 2018). Sums that level off at both
    ends, like tanh alone, make worse of examples that they have not seen.
    """
    rising = np.tanh(values)
    rising += np.float32(1.0)
    values *= rising
    return rising


def _column(values: FloatArray) -> _Single:
    return values.astype(np.float32)[:, None]
