"""Fitting a network to examples: stochastic gradient descent with Adam's steps.

Kingma and Ba, Adam: a method for stochastic optimization, 2015; the rate falls as a half cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from queueing.engine.network import Network, bend

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

_SHARP = 0.005
"""Error over which the loss of a high output turns from one slope to the other."""
_WARMING = 0.3
"""Share of the steps over which they grow."""
_FIRST = 0.3
"""Spread of the first weights, over one by the root of their number."""
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
        high: share of the examples that the outputs are to be above; None for what is expected.
        seed: of the first weights and of the order.
    """

    hidden: tuple[int, ...] = (96, 96, 96, 96)
    passes: int = 120
    batch: int = 512
    rate: float = 5e-3
    decay: float = 0.05
    tolerance: float = 0.05
    high: float | None = None
    seed: int = 0


def fitted(
    inputs: Array,
    wanted: Array,
    weight: Array,
    lesson: Lesson,
    on_pass: Callable[[], None] = lambda: None,
) -> Network:
    """Return a network that tells what is wanted: as expected, or so high that few are above.

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
    layers = _first_layers((inputs.shape[1], *lesson.hidden, wanted.shape[1]), random)
    moments = [np.zeros_like(layer) for layer in layers]
    squares = [np.zeros_like(layer) for layer in layers]
    batches = max(len(plain) // lesson.batch, 1)
    step, steps = 0, lesson.passes * batches
    for _ in range(lesson.passes):
        for rows in np.array_split(random.permutation(len(plain)), batches):
            step += 1
            slopes = _slopes(layers, plain[rows], target[rows], counts[rows], lesson)
            rate = lesson.rate * _pace(step / steps)
            for layer, slope, moment, square in zip(layers, slopes, moments, squares, strict=True):
                moment += 0.1 * (slope - moment)
                square += 0.001 * (slope**2 - square)
                length = rate / (1.0 - 0.9**step)
                if layer.ndim == 2:
                    layer *= np.float32(1.0 - rate * lesson.decay)
                layer -= length * moment / (np.sqrt(square / (1.0 - 0.999**step)) + 1e-8)
        on_pass()
    return Network(low, high, centre, scale, tuple(layers[::2]), tuple(layers[1::2]))


def _pace(done: float) -> float:
    """Return the length of a step over the largest one: up first, then down to none."""
    if done < _WARMING:
        return 0.5 * (1.0 - float(np.cos(np.pi * done / _WARMING)))
    return 0.5 * (1.0 + float(np.cos(np.pi * (done - _WARMING) / (1.0 - _WARMING))))


def averaged(networks: Sequence[Network], times: float = 1.0) -> Network:
    """Return one network that tells what several tell on average, times a factor.

    Args:
        networks: fitted to the same inputs, each with as many layers.
        times: the factor.
    """
    first, last = networks[0], len(networks[0].weights) - 1
    weights = [np.concatenate([each.weights[0] for each in networks], axis=1)]
    weights += [
        block_diag(*(each.weights[layer] for each in networks)).astype(np.float32)
        for layer in range(1, last)
    ]
    share = np.float32(times / len(networks))
    weights.append(share * np.concatenate([each.weights[last] for each in networks]))
    biases = [np.concatenate([each.biases[layer] for each in networks]) for layer in range(last)]
    biases.append(share * np.sum([each.biases[last] for each in networks], axis=0))
    return replace(first, weights=tuple(weights), biases=tuple(biases))


def _first_layers(sizes: tuple[int, ...], random: np.random.Generator) -> list[Single]:
    layers: list[Single] = []
    for into, out in pairwise(sizes):
        spread = random.normal(0.0, _FIRST * np.sqrt(1.0 / into), (into, out))
        layers += [spread.astype(np.float32), np.zeros(out, dtype=np.float32)]
    layers[-2] *= np.float32(0.1)
    return layers


def _slopes(
    layers: list[Single], inputs: Single, target: Single, counts: Single, lesson: Lesson
) -> list[Single]:
    """Return how the mean loss changes with every weight and bias."""
    values, rises = [inputs], []
    for index in range(0, len(layers) - 2, 2):
        sums = values[-1] @ layers[index] + layers[index + 1]
        bent = sums.copy()
        rising = bend(bent)
        values.append(bent)
        rises.append(rising + sums * rising * (2.0 - rising))
    error = values[-1] @ layers[-2] + layers[-1] - target
    if lesson.high is None:
        # Huber's loss, smoothly.
        steepness = error / np.sqrt(error**2 + lesson.tolerance**2)
    else:
        # The loss whose least is at a quantile, likewise (Koenker and Bassett, Regression
        # quantiles, 1978).
        steepness = 0.5 * (error / np.sqrt(error**2 + _SHARP**2) + 1.0) - lesson.high
    back = (counts * steepness).astype(np.float32)
    back /= np.float32(len(inputs))
    slopes: list[Single] = [back] * len(layers)
    for index in range(len(layers) - 2, -1, -2):
        slopes[index] = values[index // 2].T @ back
        slopes[index + 1] = back.sum(axis=0)
        if index:
            back = (back @ layers[index].T) * rises[index // 2 - 1]
    return slopes
