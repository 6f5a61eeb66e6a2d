"""A decoder transformer that computes iterations as an engine does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from profiler.harness.attention import Attention
from profiler.harness.cache import Window
from profiler.harness.communicator import Communicator
from profiler.harness.layer import DecoderLayer, rms_norm
from profiler.harness.projection import Projection


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """Sequences that decode a token each: all of a window, from its first on.

    Attributes:
        window: Where their KV is.
        sequences: How many.
        context: Tokens that each has in the cache already.
    """

    window: Window
    sequences: int
    context: int


@dataclass(frozen=True, slots=True, eq=False)
class Prompting:
    """A prompt, or a chunk of one.

    Attributes:
        window: Where its KV is.
        sequence: Which sequence of the window it is.
        tokens: Tokens computed.
        prefix: Tokens before them, which the cache has already.
    """

    window: Window
    sequence: int
    tokens: int
    prefix: int


@dataclass(frozen=True, slots=True, eq=False)
class Iteration:
    """What one iteration computes. Decoding sequences stand before the prompt.

    Attributes:
        tokens: Numbers of the tokens, (tokens,).
        positions: Their positions, (tokens,).
        decoding: The decoding sequences; None for none.
        prompting: The prompt; None for none.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    decoding: Decoding | None
    prompting: Prompting | None


BeforeAttention = Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]
AfterAttention = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The two pieces of a layer as they are run: plain or compiled. The layer comes first."""

    before: BeforeAttention = DecoderLayer.before_attention
    after: AfterAttention = DecoderLayer.after_attention


class Decoder(nn.Module):
    """A decoder transformer, or the part of it that one device of several holds."""

    def __init__(
        self,
        embedding: torch.Tensor,
        layers: Sequence[DecoderLayer],
        norm: torch.Tensor,
        head: Projection,
        attention: Attention,
        communicator: Communicator,
        rotations: tuple[torch.Tensor, torch.Tensor],
        pieces: Pieces,
    ) -> None:
        """Put it together.

        Args:
            embedding: Rows of the embedding that this device holds, (rows, hidden size).
            layers: Its layers.
            norm: Weights of the last norm.
            head: Its part of the output head.
            attention: How it attends.
            communicator: The devices that share it.
            rotations: Cosine and sine by position, each (positions, 1, head size).
            pieces: How the pieces of a layer are run.
        """
        super().__init__()
        self.register_buffer("embedding", embedding)
        self.layers = nn.ModuleList(layers)
        self.stack = tuple(layers)
        self.register_buffer("norm", norm)
        self.head = head
        self.attention = attention
        self.communicator = communicator
        self.register_buffer("cosine", rotations[0])
        self.register_buffer("sine", rotations[1])
        self.pieces = pieces

    @torch.no_grad()
    def forward(
        self, iteration: Iteration, layers: int | None = None, *, every_token: bool = False
    ) -> torch.Tensor:
        """Return logits of the decoding sequences and of the last token of the prompt.

        Args:
            iteration: What to compute.
            layers: How many layers, from the first on; all unless given.
            every_token: Return the logits of every token instead.
        """
        cosine = self.get_buffer("cosine")[iteration.positions]
        sine = self.get_buffer("sine")[iteration.positions]
        residual = self._embedded(iteration.tokens)
        added = torch.zeros_like(residual)
        for number, layer in enumerate(self.stack[:layers]):
            residual, queries, keys, values = self.pieces.before(
                layer, residual, added, cosine, sine
            )
            mixed = self._attend(number, iteration, queries, keys, values)
            attended = self.communicator.sum(layer.output(mixed.flatten(1)))
            residual, added = self.pieces.after(layer, residual, attended)
            added = self.communicator.sum(added)
        hidden = residual + added
        if not every_token:
            hidden = _sampled(hidden, iteration)
        normed = rms_norm(hidden, self.get_buffer("norm"), self.stack[0].epsilon)
        return self.communicator.gather(self.head(normed))

    def step(self, iteration: Iteration, layers: int | None = None) -> torch.Tensor:
        """Return the likeliest next tokens: an iteration with its sampling."""
        return self.forward(iteration, layers).argmax(dim=-1)

    def _embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the rows of tokens; each device has some of them, and the others are zero."""
        rows = self.get_buffer("embedding")
        if self.communicator.size == 1:
            return functional.embedding(tokens, rows)
        mine = tokens - self.communicator.rank * len(rows)
        here = (mine >= 0) & (mine < len(rows))
        found = functional.embedding(torch.where(here, mine, 0), rows)
        return self.communicator.sum(found * here[:, None])

    def _attend(
        self,
        layer: int,
        iteration: Iteration,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        parts = []
        count = 0
        if iteration.decoding is not None:
            decoding, count = iteration.decoding, iteration.decoding.sequences
            new = keys[:count, None], values[:count, None]
            decoding.window.write(layer, 0, decoding.context, *new)
            held = decoding.window.read(layer, 0, count, decoding.context + 1)
            parts.append(self.attention.decode(queries[:count], *held))
        if iteration.prompting is not None:
            prompt = iteration.prompting
            new = keys[None, count:], values[None, count:]
            prompt.window.write(layer, prompt.sequence, prompt.prefix, *new)
            read = prompt.window.read(layer, prompt.sequence, 1, prompt.prefix + prompt.tokens)
            parts.append(self.attention.prompt(queries[count:], *(each[0] for each in read)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _sampled(hidden: torch.Tensor, iteration: Iteration) -> torch.Tensor:
    """Return the rows that a next token is sampled from."""
    if iteration.prompting is None:
        return hidden
    if iteration.decoding is None:
        return hidden[-1:]
    return torch.cat([hidden[: iteration.decoding.sequences], hidden[-1:]])


def rotations(
    positions: int, head_size: int, theta: float, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and sine of the rotation by position, each (positions, 1, head size)."""
    powers = torch.arange(0, head_size, 2, dtype=torch.float64) / head_size
    angles = torch.arange(positions, dtype=torch.float64)[:, None] * theta**-powers
    both = torch.cat([angles, angles], dim=1)[:, None]
    return both.cos().to(device, dtype), both.sin().to(device, dtype)
