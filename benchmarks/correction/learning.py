"""Fitting a network to examples: stochastic gradient descent with Adam's steps.

Kingma and Ba, Adam: a method for stochastic optimization, 2015; the rate falls as a half cosine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from queueing.engine.network import Network

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

_SHARP = 0.02
"""Error over which the loss of high outputs turns from one slope to the other."""
_BEYOND = 1e-3
"""Share of the examples outside of the range of each input, at either end."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """How to fit.

    Attributes:
        hidden: outputs of each layer but the last.
        passes: times that every example is looked at.
        batch: examples in a step.
        rate: largest length of a step.
        decay: penalty of large weights.
        tolerance: error of an output below which it counts squared, above which plainly.
        high: share of the examples that the second half of the outputs is to be above.
        seed: of the first weights and of the order.
    """

    hidden: tuple[int, ...] = (64, 64, 64)
    passes: int = 800
    batch: int = 512
    rate: float = 3e-3
    decay: float = 3e-4
    tolerance: float = 0.05
    high: float = 0.985
    seed: int = 0


def fitted(
    inputs: Array,
    wanted: Array,
    weight: Array,
    lesson: Lesson,
    on_pass: Callable[[], None] = lambda: None,
) -> Network:
    """Return a network with twice as many outputs as are wanted: expected ones and high ones.

    Args:
        inputs: array (examples, inputs), finite.
        wanted: array (examples, outputs); what is not finite does not count.
        weight: what each counts for, of the same shape, on average 1.
        lesson: how to fit.
        on_pass: called after each pass.
    """
    random = np.random.default_rng(lesson.seed)
    low, high = np.quantile(inputs, [_BEYOND, 1.0 - _BEYOND], axis=0)
    held = np.clip(inputs, low, high)
    centre, scale = held.mean(axis=0), np.maximum(held.std(axis=0), 1e-6)
    plain = ((held - centre) / scale).astype(np.float32)
    known = np.isfinite(wanted)
    target = np.where(known, wanted, 0.0).astype(np.float32)
    counts = np.where(known, weight, 0.0).astype(np.float32)
    layers = _first_layers((inputs.shape[1], *lesson.hidden, 2 * wanted.shape[1]), random)
    moments = [np.zeros_like(layer) for layer in layers]
    squares = [np.zeros_like(layer) for layer in layers]
    batches = max(len(plain) // lesson.batch, 1)
    step, steps = 0, lesson.passes * batches
    for _ in range(lesson.passes):
        for rows in np.array_split(random.permutation(len(plain)), batches):
            step += 1
            slopes = _slopes(layers, plain[rows], target[rows], counts[rows], lesson)
            rate = lesson.rate * 0.5 * (1.0 + np.cos(np.pi * step / steps))
            for layer, slope, moment, square in zip(layers, slopes, moments, squares, strict=True):
                moment += 0.1 * (slope - moment)
                square += 0.001 * (slope**2 - square)
                length = rate / (1.0 - 0.9**step)
                layer -= length * moment / (np.sqrt(square / (1.0 - 0.999**step)) + 1e-8)
        on_pass()
    return Network(low, high, centre, scale, tuple(layers[::2]), tuple(layers[1::2]))


def _first_layers(sizes: tuple[int, ...], random: np.random.Generator) -> list[Single]:
    layers: list[Single] = []
    for into, out in pairwise(sizes):
        spread = random.normal(0.0, np.sqrt(1.0 / into), (into, out))
        layers += [spread.astype(np.float32), np.zeros(out, dtype=np.float32)]
    layers[-2] *= np.float32(0.1)
    return layers


def _slopes(
    layers: list[Single], inputs: Single, target: Single, counts: Single, lesson: Lesson
) -> list[Single]:
    """Return how the mean loss changes with every weight and bias."""
    values = [inputs]
    for index in range(0, len(layers) - 2, 2):
        values.append(np.tanh(values[-1] @ layers[index] + layers[index + 1]))
    outputs = values[-1] @ layers[-2] + layers[-1]
    number = target.shape[1]
    expected, high = outputs[:, :number] - target, outputs[:, number:] - target
    tolerance = lesson.tolerance
    # Expected: Huber's loss, smoothly. High: the loss whose least is at a quantile, likewise.
    first = expected / np.sqrt(expected**2 + tolerance**2)
    second = 0.5 * (high / np.sqrt(high**2 + _SHARP**2) + 1.0) - lesson.high
    back = np.concatenate([counts * first, counts * second], axis=1, dtype=np.float32)
    back /= np.float32(len(inputs))
    slopes: list[Single] = [back] * len(layers)
    for index in range(len(layers) - 2, -1, -2):
        slopes[index] = values[index // 2].T @ back + np.float32(lesson.decay) * layers[index]
        slopes[index + 1] = back.sum(axis=0)
        if index:
            back = (back @ layers[index].T) * (1.0 - values[index // 2] ** 2)
    return slopes
