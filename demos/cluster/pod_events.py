"""What becomes of pods, told to whoever wants to hear of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Pod = dict[str, Any]
"""A pod as the API server writes it."""


@dataclass(frozen=True, slots=True)
class PodEvents:
    """What somebody wants to hear of pods; each takes the pod as it was then.

    Attributes:
        started: Its container started.
        ready: It was declared ready.
        stopping: It was asked to end; returns the seconds that it still needs.
        gone: It ended.
    """

    started: Callable[[Pod], None] = lambda _: None
    ready: Callable[[Pod], None] = lambda _: None
    stopping: Callable[[Pod], float] = lambda _: 0.0
    gone: Callable[[Pod], None] = lambda _: None
