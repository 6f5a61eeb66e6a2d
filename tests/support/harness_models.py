"""Small transformers of the harness, and iterations of them."""

from __future__ import annotations

from typing import Any

import torch

from profiler.harness.attention import Attention, AttentionPath, attention
from profiler.harness.build import Building, build, building
from profiler.harness.cache import Cache, ContiguousCache, PagedCache, Window
from profiler.harness.communicator import Communicator
from profiler.harness.execution import Execution
from profiler.harness.model import Decoder, Decoding, Iteration, Pieces, Prompting
from profiler.harness.precision import Activation, WeightFormat
from profiler.harness.settings import CacheLayout, HarnessSettings
from profiler.harness.shape import ExpertShape, Shape
from profiler.harness.source import RandomWeights, WeightSource

CPU = torch.device("cpu")
SMALL = Shape(
    name="small",
    layers=3,
    hidden_size=64,
    query_heads=4,
    kv_heads=2,
    head_size=16,
    intermediate_size=96,
    vocabulary_size=128,
    max_context_tokens=256,
)
WITH_EXPERTS = Shape(
    name="small-experts",
    layers=3,
    hidden_size=64,
    query_heads=4,
    kv_heads=4,
    head_size=16,
    intermediate_size=96,
    vocabulary_size=128,
    max_context_tokens=256,
    experts=ExpertShape(6, 2, 64, shared_experts=1, dense_layers=1),
)


def small_model(
    shape: Shape = SMALL,
    *,
    weights: WeightFormat = WeightFormat.FP32,
    dtype: torch.dtype = torch.float32,
    path: AttentionPath | Attention = AttentionPath.MATH,
    communicator: Communicator | None = None,
    source: WeightSource | None = None,
    pieces: Pieces | None = None,
) -> Decoder:
    attend = attention(path) if isinstance(path, AttentionPath) else path
    how: Building = building(weights, dtype, CPU, attend, communicator, pieces)
    return build(shape, how, source or RandomWeights(7, CPU, dtype))


def cache_of(
    shape: Shape, layout: str, dtype: torch.dtype, tokens: int = 512, devices: int = 1
) -> Cache:
    kind = ContiguousCache if layout == "contiguous" else PagedCache
    heads = max(1, shape.kv_heads // devices)
    return kind(shape.layers, tokens, heads, shape.head_size, dtype, CPU)


def prompt_of(window: Window, sequence: int, tokens: torch.Tensor, prefix: int = 0) -> Iteration:
    positions = torch.arange(prefix, prefix + len(tokens))
    return Iteration(tokens, positions, None, Prompting(window, sequence, len(tokens), prefix))


def decode_of(window: Window, tokens: torch.Tensor, context: int) -> Iteration:
    positions = torch.full((len(tokens),), context)
    return Iteration(tokens, positions, Decoding(window, len(tokens), context), None)


def random_tokens(count: int, seed: int = 0, vocabulary: int = 128) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (count,), generator=generator)


def settings(**changed: Any) -> HarnessSettings:
    values: dict[str, Any] = {
        "shape": SMALL,
        "counts": (SMALL.layers,),
        "device": "cpu",
        "precision": Activation.FP32,
        "weights": WeightFormat.FP32,
        "attention": AttentionPath.MATH,
        "layout": CacheLayout.CONTIGUOUS,
        "execution": Execution.EAGER,
        "tensor_parallel": 1,
        "max_batch": 8,
        "max_context": 128,
        "max_prefill": 128,
        "kv_limit_bytes": 1 << 20,
        "seed": 0,
        "threads": 1,
    }
    return HarnessSettings(**values | changed)
