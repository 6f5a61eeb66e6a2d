"""A model small enough for any machine: to try the harness, and for tests of the whole way."""

from __future__ import annotations

from profiler.harness.shape import Shape

TINY = Shape(
    name="tiny",
    layers=4,
    hidden_size=256,
    query_heads=8,
    kv_heads=2,
    head_size=32,
    intermediate_size=704,
    vocabulary_size=2048,
    max_context_tokens=2048,
)
