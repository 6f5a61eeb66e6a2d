"""Iteration times from specifications, with the part that each limit has in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray
from queueing.roofline import constants
from queueing.roofline.deployment import Deployment
from queueing.roofline.interconnect import exchange_ms
from stoker.domain.catalogue import Precision


class Bound(StrEnum):
    """What an iteration spends most of its time on."""

    BANDWIDTH = "bandwidth"
    COMPUTE = "compute"
    INTERCONNECT = "interconnect"
    OVERHEAD = "overhead"


@dataclass(frozen=True, slots=True, eq=False)
class IterationTime:
    """Times of iterations by what limits them: arrays of one shape, milliseconds.

    Attributes:
        bandwidth_ms: Kernels that wait for memory.
        compute_ms: Kernels that wait for arithmetic.
        interconnect_ms: All-reduces.
        overhead_ms: Gaps between kernels and the engine's own work.
        ideal_ms: The pure roofline: all bytes at peak bandwidth or all FLOPs at peak rate,
            whichever takes longer.
    """

    bandwidth_ms: FloatArray
    compute_ms: FloatArray
    interconnect_ms: FloatArray
    overhead_ms: FloatArray
    ideal_ms: FloatArray

    @property
    def total_ms(self) -> FloatArray:
        """Time of the whole iteration."""
        return self.bandwidth_ms + self.compute_ms + self.interconnect_ms + self.overhead_ms

    @property
    def bounds(self) -> npt.NDArray[np.str_]:
        """What each iteration spends most of its time on: values of `Bound`."""
        parts = np.stack(
            [self.bandwidth_ms, self.compute_ms, self.interconnect_ms, self.overhead_ms]
        )
        names = np.array([bound.value for bound in Bound])
        return np.asarray(names[np.argmax(parts, axis=0)])


class _Kernels:
    """Sums kernels, each bound by the longer of its reading and its computing."""

    def __init__(self, deployment: Deployment, shape: tuple[int, ...]) -> None:
        self.bandwidth_ms: FloatArray = np.zeros(shape)
        self.compute_ms: FloatArray = np.zeros(shape)
        self._ideal_read_ms: FloatArray = np.zeros(shape)
        self._ideal_compute_ms: FloatArray = np.zeros(shape)
        self._bandwidth = deployment.bandwidth

    def add(
        self,
        moved_bytes: FloatArray,
        flops: FloatArray,
        reached_flops: float,
        peak_flops: float,
    ) -> None:
        """Add kernels that move so many bytes and compute so many FLOPs, on one card."""
        reading = moved_bytes / (constants.BANDWIDTH_SHARE * self._bandwidth)
        computing = flops / reached_flops
        self.bandwidth_ms = self.bandwidth_ms + np.where(reading >= computing, reading, 0.0)
        self.compute_ms = self.compute_ms + np.where(reading >= computing, 0.0, computing)
        self._ideal_read_ms = self._ideal_read_ms + moved_bytes / self._bandwidth
        self._ideal_compute_ms = self._ideal_compute_ms + flops / peak_flops

    @property
    def ideal_ms(self) -> FloatArray:
        return np.maximum(self._ideal_read_ms, self._ideal_compute_ms)


def decode_time(
    deployment: Deployment, batch: npt.ArrayLike, context_tokens: npt.ArrayLike
) -> IterationTime:
    """Return the time of an iteration in which each sequence decodes one token.

    Args:
        deployment: The model on its cards.
        batch: Sequences, at least 1; broadcast against `context_tokens`.
        context_tokens: Mean tokens that a sequence has in the KV cache.
    """
    n, context = _broadcast(batch, context_tokens)
    kernels = _Kernels(deployment, n.shape)
    _add_weights(kernels, deployment, n, n)
    keys = _keys(deployment, context, _windowed(deployment, context))
    sixteen_bit = deployment.peak_flops(Precision.BF16)
    products = deployment.model.attention.products_per_key(decoding=True)
    kernels.add(
        n * keys * deployment.kv_values_per_token_layer * deployment.kv_precision.bytes_per_value,
        2.0 * products * n * keys / deployment.tensor_parallel,
        constants.MATMUL_SHARE_16_BIT * sixteen_bit,
        sixteen_bit,
    )
    _add_activations(kernels, deployment, tokens=n, sequences=n)
    return _finished(
        kernels,
        exchange_ms(deployment, n),
        deployment.fixed_ms + constants.ENGINE_SEQUENCE_MS * n,
        deployment.launching_ms(replayed=True),
    )


def prefill_time(
    deployment: Deployment, tokens: npt.ArrayLike, context_tokens: npt.ArrayLike = 0.0
) -> IterationTime:
    """Return the time of an iteration that computes tokens of one prompt and nothing else.

    Args:
        deployment: The model on its cards.
        tokens: Prompt tokens computed, at least 1; broadcast against `context_tokens`.
        context_tokens: Tokens of the prompt that are in the KV cache already and are read.
    """
    count, context = _broadcast(tokens, context_tokens)
    one = np.ones_like(count)
    kernels = _Kernels(deployment, count.shape)
    _add_weights(kernels, deployment, count, one)
    sixteen_bit = deployment.peak_flops(Precision.BF16)
    products = deployment.model.attention.products_per_key(decoding=False)
    end = count + context
    pairs = _keys(
        deployment,
        _triangle(end) - _triangle(context),
        _windowed_triangle(deployment, end) - _windowed_triangle(deployment, context),
    )
    read = _keys(deployment, end, _windowed(deployment, end))
    kernels.add(
        read * deployment.kv_values_per_token_layer * deployment.kv_precision.bytes_per_value,
        2.0 * products * pairs / deployment.tensor_parallel,
        constants.PREFILL_ATTENTION_SHARE * sixteen_bit,
        sixteen_bit,
    )
    _add_activations(kernels, deployment, tokens=count, sequences=one)
    return _finished(
        kernels,
        exchange_ms(deployment, count),
        np.full_like(count, deployment.fixed_ms),
        deployment.launching_ms(replayed=False),
    )


def _finished(
    kernels: _Kernels, exchange: FloatArray, overhead: FloatArray, launching_ms: float
) -> IterationTime:
    """Put the parts together; launching counts where it takes longer than running."""
    running = kernels.bandwidth_ms + kernels.compute_ms + exchange
    return IterationTime(
        kernels.bandwidth_ms,
        kernels.compute_ms,
        exchange,
        overhead + np.maximum(launching_ms - running, 0.0),
        kernels.ideal_ms,
    )


def _broadcast(*values: npt.ArrayLike) -> tuple[FloatArray, ...]:
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    return tuple(np.array(array) for array in np.broadcast_arrays(*arrays))


def _add_weights(
    kernels: _Kernels, deployment: Deployment, tokens: FloatArray, sampled: FloatArray
) -> None:
    """Add the products with weights; the output head sees the sampled tokens only."""
    cards, model = deployment.tensor_parallel, deployment.model
    dense, head = deployment.dense_precision, float(model.embedding_parameters)
    body = deployment.dense_parameters - head
    for parameters, rows in ((body, tokens), (head, sampled)):
        kernels.add(
            np.full_like(tokens, parameters * dense.bytes_per_value / cards),
            2.0 * parameters * rows / cards,
            deployment.matmul_flops(dense),
            deployment.peak_flops(dense),
        )
    experts, of_experts = model.experts, deployment.expert_precision
    if experts is None:
        return
    chosen = experts.experts_per_token / experts.experts
    touched = experts.layers * experts.experts * (1.0 - (1.0 - chosen) ** tokens)
    kernels.add(
        touched * deployment.expert_parameters * of_experts.bytes_per_value / cards,
        2.0 * deployment.visited_expert_parameters * tokens / cards,
        deployment.matmul_flops(of_experts),
        deployment.peak_flops(of_experts),
    )


def _add_activations(
    kernels: _Kernels, deployment: Deployment, *, tokens: FloatArray, sequences: FloatArray
) -> None:
    moved = deployment.activation_bytes_per_token * tokens
    moved = moved + deployment.sampling_bytes_per_sequence * sequences
    kernels.add(moved, np.zeros_like(moved), 1.0, 1.0)


def _windowed(deployment: Deployment, tokens: FloatArray) -> FloatArray:
    window = deployment.model.attention.window_tokens
    return tokens if window is None else np.minimum(tokens, float(window))


def _triangle(tokens: FloatArray) -> FloatArray:
    """Query-key pairs of a causal prompt of so many tokens."""
    return tokens * (tokens + 1.0) / 2.0


def _windowed_triangle(deployment: Deployment, tokens: FloatArray) -> FloatArray:
    within = _windowed(deployment, tokens)
    return _triangle(within) + (tokens - within) * within


def _keys(deployment: Deployment, full: FloatArray, windowed: FloatArray) -> FloatArray:
    """Sum over layers: `full` in a full layer, `windowed` in the others."""
    window_layers = deployment.model.attention.window_layers
    return (deployment.model.layers - window_layers) * full + window_layers * windowed
