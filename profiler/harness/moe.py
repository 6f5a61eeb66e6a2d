"""Expert layers: a router, and MLPs of which each token visits a few."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from torch.nn import functional

from profiler.harness.precision import WeightFormat
from profiler.harness.projection import Projection


class Experts(nn.Module):
    """Routed experts with gated MLPs, and the shared one beside them.

    Weights of the experts of a token are the softmax over its chosen ones (Jiang et al., Mixtral
    of Experts, 2024).
    """

    def __init__(
        self,
        router: torch.Tensor,
        gate_up: list[torch.Tensor],
        down: list[torch.Tensor],
        per_token: int,
        weights: WeightFormat,
        shared: nn.Module | None,
    ) -> None:
        """Store the experts.

        Args:
            router: (experts, hidden size), kept as it is.
            gate_up: Gate and up matrices of each expert, one above the other.
            down: Down matrices of each expert.
            per_token: Experts that a token visits.
            weights: Format to store the experts in.
            shared: MLP that every token visits; None for none.
        """
        super().__init__()
        self.register_buffer("router", router)
        self.per_token = per_token
        self.shared = shared
        self.grouped = weights.plain and groups_products(router.dtype, router.device)
        if self.grouped:
            self.register_buffer("all_gate_up", torch.stack(gate_up))
            self.register_buffer("all_down", torch.stack(down))
        else:
            self.gate_up = nn.ModuleList(Projection(matrix, weights) for matrix in gate_up)
            self.down = nn.ModuleList(Projection(matrix, weights) for matrix in down)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return what the experts make of each token: (tokens, hidden size)."""
        scores = functional.linear(hidden, self.get_buffer("router")).float()
        best, chosen = scores.topk(self.per_token, dim=1)
        shares = best.softmax(dim=1).to(hidden.dtype)
        routed = self._grouped if self.grouped else self._one_by_one
        answer = routed(hidden, chosen, shares)
        return answer if self.shared is None else answer + self.shared(hidden)

    def _grouped(
        self, hidden: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        """Sort visits by expert and multiply all of them in one kernel; the host waits for none."""
        experts = self.get_buffer("all_gate_up").shape[0]
        order = chosen.flatten().argsort(stable=True)
        visitors = hidden[order // self.per_token]
        numbers = torch.arange(experts, device=hidden.device)
        counts = (chosen.flatten()[:, None] == numbers).sum(dim=0)
        ends = counts.cumsum(dim=0).to(torch.int32)
        wide = torch._grouped_mm(visitors, self.get_buffer("all_gate_up").mT, offs=ends)
        gate, up = wide.chunk(2, dim=1)
        inner = (functional.silu(gate) * up).contiguous()
        made = torch._grouped_mm(inner, self.get_buffer("all_down").mT, offs=ends)
        weighted = made * shares.flatten()[order, None]
        return torch.zeros_like(hidden).index_add_(0, order // self.per_token, weighted)

    def _one_by_one(
        self, hidden: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        """Visit the experts in turn, each with its tokens; those without any are passed over."""
        answer = torch.zeros_like(hidden)
        for number, (gate_up, down) in enumerate(zip(self.gate_up, self.down, strict=True)):
            tokens, rank = torch.where(chosen == number)
            if len(tokens):
                gate, up = gate_up(hidden[tokens]).chunk(2, dim=1)
                made = down(functional.silu(gate) * up)
                answer.index_add_(0, tokens, made * shares[tokens, rank, None])
        return answer


def groups_products(dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether the device multiplies groups of rows with a matrix each in one kernel."""
    return _groups_products(dtype, device.type)


@cache
def _groups_products(dtype: torch.dtype, device: str) -> bool:
    if not hasattr(torch, "_grouped_mm"):
        return False
    generator = torch.Generator(device).manual_seed(0)
    rows = torch.randn(32, 64, generator=generator, device=device).to(dtype)
    matrices = torch.randn(2, 128, 64, generator=generator, device=device).to(dtype)
    # The second group is empty, as that of an expert that nobody visits.
    ends = torch.tensor([32, 32], dtype=torch.int32, device=device)
    try:
        answer = torch._grouped_mm(rows, matrices.mT, offs=ends)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return False
    return torch.allclose(answer.float(), rows.float() @ matrices[0].float().T, rtol=0.05, atol=0.5)
