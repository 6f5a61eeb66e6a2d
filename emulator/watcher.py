"""Who is told of the work of an engine."""

from __future__ import annotations

from typing import Protocol

from emulator.requests import EmulatedRequest


class Watcher(Protocol):
    """What is told of an engine's work."""

    def admitted(self, request: EmulatedRequest) -> None:
        """A request was served for the first time."""

    def iterated(self, tokens: int) -> None:
        """An iteration that computed so many tokens has ended."""

    def gap(self, gap_ms: float, tokens: int) -> None:
        """So many tokens came this long after the ones before them."""

    def first_token(self, request: EmulatedRequest) -> None:
        """The first token of a request was made."""

    def finished(self, request: EmulatedRequest) -> None:
        """The last token of a request was made."""

    def preempted(self, request: EmulatedRequest) -> None:
        """A request lost its KV."""
