"""Operating points that may be measured: loads and lengths of requests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from profiler.endpoint.server import Deployment
from stoker.domain.measurement import Arrival, LoadKind, Measurement


@dataclass(frozen=True, slots=True, order=True)
class OperatingPoint:
    """A load on a server.

    Attributes:
        in_tokens: Mean tokens of a prompt.
        out_tokens: Mean tokens of an answer.
        kind: Whether `load` is a rate or a number of clients.
        load: Requests per second, at equal times between them, or clients.
    """

    in_tokens: int
    out_tokens: int
    kind: LoadKind
    load: float

    @property
    def name(self) -> str:
        """What the row of this point is called; the same point has the same name."""
        return f"{self.kind.value}-{self.load:g}-in-{self.in_tokens}-out-{self.out_tokens}"

    @property
    def shape(self) -> tuple[int, int]:
        """Prompt and output tokens."""
        return self.in_tokens, self.out_tokens

    def planned(self, deployment: Deployment) -> Measurement:
        """Return the point as a row without figures, to be predicted."""
        rate = self.kind is LoadKind.RATE
        return Measurement(
            model=deployment.model,
            gpu=deployment.gpu,
            n_gpus=deployment.n_gpus,
            load_kind=self.kind,
            load=self.load,
            in_tokens=self.in_tokens,
            out_tokens=self.out_tokens,
            engine=deployment.engine,
            precision=deployment.precision,
            arrival=Arrival.CONSTANT if rate else Arrival.CLOSED,
            max_batch=deployment.max_batch,
            max_num_batched_tokens=deployment.token_budget,
            name=self.name,
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """What points are chosen from.

    Attributes:
        in_tokens: Lengths of prompts, ascending.
        out_tokens: Lengths of answers, ascending.
        clients: Numbers of clients of closed loops, ascending.
        open_share: Open loops at this share of what a closed loop of the same shape and clients
            carries; 0 for none.
    """

    in_tokens: tuple[int, ...]
    out_tokens: tuple[int, ...]
    clients: tuple[int, ...]
    open_share: float = 0.6

    def __post_init__(self) -> None:
        """Check the lists.

        Raises:
            ValueError: One is empty, does not ascend, or begins below 1.
        """
        for name in ("in_tokens", "out_tokens", "clients"):
            values: tuple[int, ...] = getattr(self, name)
            if not values or list(values) != sorted(set(values)) or values[0] < 1:
                raise ValueError(f"{name} is {list(values)} (allowed: ascending, from 1 on)")
        if not 0 <= self.open_share < 1:
            raise ValueError(f"open_share is {self.open_share} (allowed: 0 up to below 1)")

    def closed(self, most_tokens: int | None) -> list[OperatingPoint]:
        """Return all closed loops that a context of so many tokens has room for."""
        return [
            OperatingPoint(prompt, output, LoadKind.CONCURRENCY, float(clients))
            for prompt in self.in_tokens
            for output in self.out_tokens
            if most_tokens is None or prompt + output <= most_tokens
            for clients in self.clients
        ]

    def first(self, most_tokens: int | None) -> list[OperatingPoint]:
        """Return where to begin: the corners that tell one part of an iteration each.

        A lone client tells what every iteration takes, long prompts tell computing, many clients
        with short requests tell batching, and with long ones reading the context.
        """
        points = self.closed(most_tokens)
        if not points:
            return []
        few, many = self.clients[0], self.clients[-1]
        shapes = sorted({point.shape for point in points})
        short = shapes[0]
        long_prompt = max(shapes, key=lambda shape: (shape[0], -shape[1]))
        longest = max(shapes, key=lambda shape: (shape[0] + shape[1], shape[1]))
        chosen = [(short, few), (short, many), (long_prompt, few), (longest, many)]
        return _distinct(
            OperatingPoint(*shape, LoadKind.CONCURRENCY, float(clients))
            for shape, clients in chosen
        )


def _distinct(points: Iterable[OperatingPoint]) -> list[OperatingPoint]:
    """Return points without repetitions, those of one shape together."""
    order: dict[tuple[int, int], list[OperatingPoint]] = {}
    for point in points:
        same = order.setdefault(point.shape, [])
        if point not in same:
            same.append(point)
    return [point for same in order.values() for point in same]
