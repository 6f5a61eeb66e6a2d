"""One layer of the transformer, in the pieces that a compiler may fuse."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from profiler.harness.projection import Projection


class Mlp(nn.Module):
    """A dense MLP: gated with SiLU (SwiGLU), or two matrices with GELU."""

    def __init__(self, up: Projection, down: Projection, *, gated: bool) -> None:
        """Take its products; a gated one has gate and up in one matrix, the gate first."""
        super().__init__()
        self.up, self.down, self.gated = up, down, gated

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return what it makes of each token."""
        wide = self.up(hidden)
        if not self.gated:
            made: torch.Tensor = self.down(functional.gelu(wide))
            return made
        gate, up = wide.chunk(2, dim=-1)
        made = self.down(functional.silu(gate) * up)
        return made


class DecoderLayer(nn.Module):
    """A layer with its norms; attention itself stands between its two pieces.

    A device that shares the layer with others holds some of the heads and a part of the MLP; what
    comes out of either piece is then its part of a sum.
    """

    def __init__(
        self,
        norms: tuple[torch.Tensor, torch.Tensor],
        query_key_value: Projection,
        output: Projection,
        mlp: nn.Module,
        heads: tuple[int, int, int],
        epsilon: float,
    ) -> None:
        """Take its parts.

        Args:
            norms: Weights of the norm before attention and of the one before the MLP.
            query_key_value: Product that makes queries, keys and values, in this order.
            output: Product behind attention.
            mlp: Dense MLP or experts.
            heads: Query heads, KV heads, size of a head.
            epsilon: Added to the mean square in norms.
        """
        super().__init__()
        self.register_buffer("attention_norm", norms[0])
        self.register_buffer("mlp_norm", norms[1])
        self.query_key_value, self.output, self.mlp = query_key_value, output, mlp
        self.query_heads, self.kv_heads, self.head_size = heads
        self.epsilon = epsilon

    def before_attention(
        self, residual: torch.Tensor, added: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the residual stream with what the layer before added; queries, keys, values.

        Args:
            residual: (tokens, hidden size).
            added: What comes from the layer before, likewise.
            cosine: Of the rotation of each token, (tokens, 1, head size).
            sine: Likewise.
        """
        residual = residual + added
        normed = rms_norm(residual, self.get_buffer("attention_norm"), self.epsilon)
        sizes = [heads * self.head_size for heads in (self.query_heads, *2 * (self.kv_heads,))]
        queries, keys, values = self.query_key_value(normed).split(sizes, dim=-1)
        queries = queries.unflatten(-1, (self.query_heads, self.head_size))
        keys = keys.unflatten(-1, (self.kv_heads, self.head_size))
        values = values.unflatten(-1, (self.kv_heads, self.head_size))
        return residual, rotated(queries, cosine, sine), rotated(keys, cosine, sine), values

    def after_attention(
        self, residual: torch.Tensor, added: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the residual stream with what attention added, and what the MLP makes of it."""
        residual = residual + added
        normed = rms_norm(residual, self.get_buffer("mlp_norm"), self.epsilon)
        return residual, self.mlp(normed)


def rms_norm(values: torch.Tensor, weights: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return values over the root of their mean square, times weights (Zhang, Sennrich, 2019)."""
    return functional.rms_norm(values, (values.shape[-1],), weights, epsilon)


def rotated(heads: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Return heads rotated by their positions (Su et al., RoFormer, 2021), halves as pairs."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat([-second, first], dim=-1) * sine
