"""Memory of a device: what weights and KV cache take, and how much cache there is room for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from profiler.harness.build import kv_heads_of
from profiler.harness.model import Decoder
from profiler.harness.shape import Shape
from stoker.domain.timing import CaseStatus, CaseTiming, IterationKind

USED_SHARE = 0.9
"""Share of a GPU's memory that is used at most, as engines do by default."""


@dataclass(frozen=True, slots=True)
class ModelMemory:
    """Memory that a model takes on one device.

    Attributes:
        weight_bytes: Weights of the whole model, scaled up from the layers that were built.
        kv_bytes_per_token: KV cache of a token in all layers of the whole model.
        kv_bytes_per_token_built: The same in the layers that were built.
    """

    weight_bytes: int
    kv_bytes_per_token: int
    kv_bytes_per_token_built: int


def stored_bytes(module: nn.Module) -> int:
    """Return the bytes of all tensors of a module; what is shared counts once."""
    tensors = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in (*module.buffers(), *module.parameters())
    }
    return sum(tensors.values())


def model_memory(model: Decoder, shape: Shape, layers: int, dtype: torch.dtype) -> ModelMemory:
    """Return what a model takes, measured on the layers that were built.

    Args:
        model: The model as it was built.
        shape: Its dimensions.
        layers: Layers of the whole model.
        dtype: Type of the KV cache.
    """
    built = len(model.stack)
    of_layers = [stored_bytes(layer) for layer in model.stack]
    outside = stored_bytes(model) - sum(of_layers)
    # The last layer is one of the kind that most layers are.
    weights = outside + sum(of_layers) + (layers - built) * of_layers[-1]
    of_layer = 2 * kv_heads_of(shape, model.communicator.size) * shape.head_size * dtype.itemsize
    return ModelMemory(weights, layers * of_layer, built * of_layer)


def largest_batches(timings: Iterable[CaseTiming]) -> tuple[tuple[int, int], ...]:
    """Return the largest decode batch that ran at each context."""
    largest: dict[int, int] = {}
    for timing in timings:
        case = timing.case
        if case.kind is IterationKind.DECODE and timing.status is CaseStatus.OK:
            largest[case.context_tokens] = max(
                largest.get(case.context_tokens, 0), case.decode_batch
            )
    return tuple(sorted(largest.items()))


def room_bytes(device: torch.device, working_bytes: int, limit_bytes: int | None) -> int:
    """Return the bytes that there are for a KV cache beside what is in use now.

    Args:
        device: The device.
        working_bytes: What the largest iteration takes beside weights and cache.
        limit_bytes: Largest cache asked for; None for as much as there is, which only a GPU tells.
    """
    if device.type != "cuda":
        return limit_bytes or 0
    free, total = torch.cuda.mem_get_info(device)
    there = int(free - (1.0 - USED_SHARE) * total - working_bytes)
    return max(0, there if limit_bytes is None else min(there, limit_bytes))


def whole_kv_tokens(total_bytes: int, memory: ModelMemory, working_bytes: int) -> int:
    """Return the KV tokens for which the whole model leaves room on a device; 0 where none.

    Args:
        total_bytes: Memory of the device.
        memory: What the model takes.
        working_bytes: What the largest iteration takes beside weights and cache.
    """
    left = USED_SHARE * total_bytes - memory.weight_bytes - working_bytes
    return max(0, int(left // memory.kv_bytes_per_token))
