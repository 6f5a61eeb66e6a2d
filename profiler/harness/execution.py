"""How iterations are run: kernel by kernel, compiled, or recorded once and replayed."""

from __future__ import annotations

from enum import StrEnum

import torch

from profiler.harness.clocks import Run
from profiler.harness.layer import DecoderLayer
from profiler.harness.model import Pieces

_BEFORE_RECORDING = 3
"""Runs on a side stream before a graph is recorded, as libraries set themselves up in them."""


class Execution(StrEnum):
    """Ways to run iterations. Graphs are for decodes alone: engines launch prompts."""

    EAGER = "eager"
    COMPILE = "compile"
    CUDA_GRAPH = "cuda-graph"
    COMPILE_CUDA_GRAPH = "compile+cuda-graph"

    @property
    def compiled(self) -> bool:
        """Whether the pieces of layers are compiled."""
        return self in (Execution.COMPILE, Execution.COMPILE_CUDA_GRAPH)

    @property
    def recorded(self) -> bool:
        """Whether decodes are replayed as CUDA graphs."""
        return self in (Execution.CUDA_GRAPH, Execution.COMPILE_CUDA_GRAPH)


def pieces_of(execution: Execution, backend: str = "inductor") -> Pieces:
    """Return the pieces of layers, compiled for any number of tokens where that is asked for.

    Attention stands between them, so that a new context compiles nothing; engines cut their
    graphs at the same place.

    Args:
        execution: How iterations are run.
        backend: Compiler of torch to use.
    """
    if not execution.compiled:
        return Pieces()
    return Pieces(
        torch.compile(DecoderLayer.before_attention, dynamic=True, backend=backend),
        torch.compile(DecoderLayer.after_attention, dynamic=True, backend=backend),
    )


class Recorded:
    """An iteration recorded as a CUDA graph."""

    def __init__(self, run: Run) -> None:
        """Run it a few times, then record it.

        Raises:
            RuntimeError: It does what cannot be recorded.
        """
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_BEFORE_RECORDING):
                run()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            # What comes out has to stay, or its memory would be used again.
            self._kept = run()

    def __call__(self) -> object:
        """Replay it."""
        self._graph.replay()
        return self._kept

    def forget(self) -> None:
        """Give its memory back."""
        self._kept = None
        self._graph.reset()
