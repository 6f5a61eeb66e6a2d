"""Attention over the KV cache, by each of the kernels that torch has.

Decoding queries of one KV head are put side by side as if they were tokens: they all see the same
keys, so that no kernel needs to know of grouped queries and every key is read once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right


class AttentionPath(StrEnum):
    """Kernels of attention."""

    FLASH = "flash"
    CUDNN = "cudnn"
    EFFICIENT = "efficient"
    MATH = "math"
    REFERENCE = "reference"
    """Products and softmax one by one: what the others are compared with."""


class Attention(Protocol):
    """Computes attention of decoding sequences and of a prompt."""

    def decode(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return what one token of each sequence attends to.

        Args:
            queries: (sequences, query heads, head size).
            keys: (sequences, KV heads, tokens, head size), the token itself last.
            values: Likewise.

        Returns:
            (sequences, query heads, head size).
        """
        ...

    def prompt(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return what the last tokens of one sequence attend to, each itself and those before.

        Args:
            queries: (tokens, query heads, head size).
            keys: (KV heads, tokens with those before, head size).
            values: Likewise.

        Returns:
            (tokens, query heads, head size).
        """
        ...


class SdpaAttention:
    """Scaled-dot-product attention of torch, on one of its kernels."""

    def __init__(self, path: AttentionPath) -> None:
        """Choose the kernel; nothing else computes in its place."""
        self.path = path
        self._backend = _BACKENDS[path]
        # The mask of the last chunk: all layers of an iteration have the same.
        self._last: tuple[tuple[int, int], torch.Tensor] | None = None

    def decode(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return what one token of each sequence attends to (see `Attention`)."""
        sequences, heads, size = queries.shape
        grouped = queries.view(sequences, keys.shape[1], -1, size)
        with sdpa_kernel(self._backend):
            mixed = functional.scaled_dot_product_attention(grouped, keys, values)
        return mixed.reshape(sequences, heads, size)

    def prompt(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return what the last tokens of one sequence attend to (see `Attention`)."""
        tokens, before = len(queries), keys.shape[1] - len(queries)
        q = queries.transpose(0, 1)[None]
        k, v = self._for_each_head(q.shape[1], keys[None], values[None])
        shared = k.shape[1] != q.shape[1]
        with sdpa_kernel(self._backend):
            if not before:
                mixed = functional.scaled_dot_product_attention(
                    q, k, v, is_causal=True, enable_gqa=shared
                )
            elif tokens == 1:
                mixed = functional.scaled_dot_product_attention(q, k, v, enable_gqa=shared)
            else:
                mixed = functional.scaled_dot_product_attention(
                    q, k, v, attn_mask=self._mask(queries, before), enable_gqa=shared
                )
        return mixed[0].transpose(0, 1)

    def _for_each_head(
        self, heads: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values for kernels that do not know of heads that share them."""
        if self.path is not AttentionPath.EFFICIENT or heads == keys.shape[1]:
            return keys, values
        group = heads // keys.shape[1]
        return keys.repeat_interleave(group, dim=1), values.repeat_interleave(group, dim=1)

    def _mask(self, queries: torch.Tensor, before: int) -> torch.Tensor:
        """Return the mask of a chunk behind a prefix.

        On a GPU the kernels have it built in where torch can say so; elsewhere it is written out.
        """
        tokens = len(queries)
        built_in = (AttentionPath.FLASH, AttentionPath.EFFICIENT)
        if queries.is_cuda and self.path in built_in:
            bias: torch.Tensor = causal_lower_right(tokens, before + tokens)
            return bias
        if self._last is None or self._last[0] != (tokens, before):
            self._last = (tokens, before), _causal(tokens, before, queries.device)
        return self._last[1]


class ReferenceAttention:
    """Products and softmax one by one, in 32 bits."""

    path = AttentionPath.REFERENCE

    def decode(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return what one token of each sequence attends to (see `Attention`)."""
        group = queries.shape[1] // keys.shape[1]
        k, v = (each.repeat_interleave(group, dim=1).float() for each in (keys, values))
        scores = torch.einsum("shd,shtd->sht", queries.float(), k) * queries.shape[2] ** -0.5
        return torch.einsum("sht,shtd->shd", scores.softmax(dim=2), v).to(queries.dtype)

    def prompt(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Return what the last tokens of one sequence attend to (see `Attention`)."""
        tokens, before = len(queries), keys.shape[1] - len(queries)
        group = queries.shape[1] // keys.shape[0]
        k, v = (each.repeat_interleave(group, dim=0).float() for each in (keys, values))
        scores = torch.einsum("qhd,htd->hqt", queries.float(), k) * queries.shape[2] ** -0.5
        scores = scores.masked_fill(~_causal(tokens, before, queries.device), float("-inf"))
        return torch.einsum("hqt,htd->qhd", scores.softmax(dim=2), v).to(queries.dtype)


class MixedAttention:
    """One kernel for decodes, another one for prompts."""

    def __init__(self, decodes: Attention, prompts: Attention) -> None:
        """Take one of each."""
        self.decode = decodes.decode
        self.prompt = prompts.prompt


def attention(path: AttentionPath) -> Attention:
    """Return attention on a kernel."""
    if path is AttentionPath.REFERENCE:
        return ReferenceAttention()
    return SdpaAttention(path)


def _causal(tokens: int, before: int, device: torch.device) -> torch.Tensor:
    """Return which tokens (columns) each of the last ones (rows) sees."""
    whole = torch.ones(tokens, before + tokens, dtype=torch.bool, device=device)
    return whole.tril(diagonal=before)


_BACKENDS = {
    AttentionPath.FLASH: SDPBackend.FLASH_ATTENTION,
    AttentionPath.CUDNN: SDPBackend.CUDNN_ATTENTION,
    AttentionPath.EFFICIENT: SDPBackend.EFFICIENT_ATTENTION,
    AttentionPath.MATH: SDPBackend.MATH,
}
