"""Building a model, or one device's part of it, from its dimensions and a source of weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from profiler.harness.attention import Attention
from profiler.harness.communicator import Alone, Communicator
from profiler.harness.layer import DecoderLayer, Mlp
from profiler.harness.model import Decoder, Pieces, rotations
from profiler.harness.moe import Experts
from profiler.harness.precision import WeightFormat
from profiler.harness.projection import Projection
from profiler.harness.shape import Shape, UnbuildableError
from profiler.harness.source import WeightSource


@dataclass(frozen=True, slots=True)
class Building:
    """How a model is built.

    Attributes:
        weights: Format of the matrices of layers and output head.
        dtype: Type of activations.
        device: Where.
        attention: How it attends.
        communicator: The devices that share it.
        pieces: How the pieces of a layer are run.
    """

    weights: WeightFormat
    dtype: torch.dtype
    device: torch.device
    attention: Attention
    communicator: Communicator
    pieces: Pieces


def building(
    weights: WeightFormat,
    dtype: torch.dtype,
    device: torch.device,
    attention: Attention,
    communicator: Communicator | None = None,
    pieces: Pieces | None = None,
) -> Building:
    """Return how to build; a device alone and plain pieces unless told otherwise."""
    return Building(weights, dtype, device, attention, communicator or Alone(), pieces or Pieces())


def kv_heads_of(shape: Shape, devices: int) -> int:
    """Return the KV heads that each of some devices holds: its share, down to one."""
    return max(1, shape.kv_heads // devices)


def check_shared(shape: Shape, devices: int) -> None:
    """Check that devices can share a model.

    Raises:
        UnbuildableError: Heads, the MLP or the vocabulary do not share evenly.
    """
    experts = shape.experts
    shared = {
        "query heads": shape.query_heads,
        "values in the MLP": shape.intermediate_size,
        "values in an expert": 0 if experts is None else experts.intermediate_size,
        "tokens in the vocabulary": shape.vocabulary_size,
    }
    for what, count in shared.items():
        if count % devices:
            raise UnbuildableError(f"{devices} devices do not share {count:,} {what} evenly")
    if shape.kv_heads % devices and devices % shape.kv_heads:
        raise UnbuildableError(f"{devices} devices do not share {shape.kv_heads} KV heads evenly")


def build(shape: Shape, how: Building, source: WeightSource) -> Decoder:
    """Return the model of these dimensions, or one device's part of it.

    Raises:
        UnbuildableError: Devices do not share it evenly.
        torch.OutOfMemoryError: Memory does not hold it.
    """
    check_shared(shape, how.communicator.size)
    embedding = source.matrix("embedding", shape.vocabulary_size, shape.hidden_size)
    embedding = _rows(embedding, how.communicator)
    layers = [_layer(shape, number, how, source) for number in range(shape.layers)]
    head = embedding
    if not shape.tied_embeddings:
        whole = source.matrix("head", shape.vocabulary_size, shape.hidden_size)
        head = _rows(whole, how.communicator)
    return Decoder(
        embedding,
        layers,
        source.scale("norm", shape.hidden_size),
        Projection(head, how.weights),
        how.attention,
        how.communicator,
        rotations(
            shape.max_context_tokens, shape.head_size, shape.rope_theta, how.dtype, how.device
        ),
        how.pieces,
    )


def _layer(shape: Shape, number: int, how: Building, source: WeightSource) -> DecoderLayer:
    name = f"layers.{number}"
    communicator = how.communicator
    hidden, size = shape.hidden_size, shape.head_size
    query = source.matrix(f"{name}.query", shape.query_heads * size, hidden)
    key, value = (
        source.matrix(f"{name}.{each}", shape.kv_heads * size, hidden) for each in ("key", "value")
    )
    stacked = torch.cat(
        [
            _rows(query, communicator),
            _kv_rows(key, shape, communicator),
            _kv_rows(value, shape, communicator),
        ]
    )
    output = source.matrix(f"{name}.output", hidden, shape.query_heads * size)
    norms = tuple(source.scale(f"{name}.{each}", hidden) for each in ("norm", "mlp_norm"))
    mlp: nn.Module
    if shape.has_experts(number):
        mlp = _experts(shape, name, how, source)
    else:
        mlp = _mlp(shape, f"{name}.mlp", shape.intermediate_size, how, source)
    return DecoderLayer(
        (norms[0], norms[1]),
        Projection(stacked, how.weights),
        Projection(_columns(output, communicator), how.weights),
        mlp,
        (
            shape.query_heads // communicator.size,
            kv_heads_of(shape, communicator.size),
            size,
        ),
        shape.norm_epsilon,
    )


def _mlp(shape: Shape, name: str, width: int, how: Building, source: WeightSource) -> Mlp:
    up, down = _mlp_matrices(shape, name, width, how, source)
    return Mlp(Projection(up, how.weights), Projection(down, how.weights), gated=shape.gated_mlp)


def _mlp_matrices(
    shape: Shape, name: str, width: int, how: Building, source: WeightSource
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrix before the activation (gate above up, where it is gated) and the other."""
    parts = ("gate", "up") if shape.gated_mlp else ("up",)
    before = [
        _rows(source.matrix(f"{name}.{part}", width, shape.hidden_size), how.communicator)
        for part in parts
    ]
    down = _columns(source.matrix(f"{name}.down", shape.hidden_size, width), how.communicator)
    return (torch.cat(before) if len(before) > 1 else before[0]), down


def _experts(shape: Shape, name: str, how: Building, source: WeightSource) -> Experts:
    experts = shape.experts
    assert experts is not None
    if not shape.gated_mlp:
        raise UnbuildableError(f"{shape.name} has experts without a gate, which are not built here")
    matrices = [
        _mlp_matrices(shape, f"{name}.experts.{each}", experts.intermediate_size, how, source)
        for each in range(experts.experts)
    ]
    shared = None
    if experts.shared_experts:
        width = experts.shared_experts * experts.intermediate_size
        shared = _mlp(shape, f"{name}.shared", width, how, source)
    return Experts(
        source.matrix(f"{name}.router", experts.experts, shape.hidden_size),
        [up for up, _ in matrices],
        [down for _, down in matrices],
        experts.experts_per_token,
        how.weights,
        shared,
    )


def _rows(matrix: torch.Tensor, communicator: Communicator) -> torch.Tensor:
    """Return a device's share of the rows, without the others behind it in memory."""
    if communicator.size == 1:
        return matrix
    share = len(matrix) // communicator.size
    return matrix[communicator.rank * share : (communicator.rank + 1) * share].clone()


def _columns(matrix: torch.Tensor, communicator: Communicator) -> torch.Tensor:
    """Return a device's share of the columns."""
    share = matrix.shape[1] // communicator.size
    first = communicator.rank * share
    return matrix[:, first : first + share].contiguous()


def _kv_rows(matrix: torch.Tensor, shape: Shape, communicator: Communicator) -> torch.Tensor:
    """Return the rows of a device's KV heads; where devices outnumber heads, some share one."""
    held = kv_heads_of(shape, communicator.size)
    first = communicator.rank * shape.kv_heads // communicator.size
    return matrix[first * shape.head_size : (first + held) * shape.head_size]
