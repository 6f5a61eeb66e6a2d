"""What the endpoints of the control loop work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

JsonObject = dict[str, Any]


class ControlDesk(Protocol):
    """Answers questions about a loop, and takes orders for it.

    All may raise `NotThereError` (no such cycle, server or plan), `ConflictError` (it does not fit
    what the loop is at), `InvalidInputError` and `OSError` (the records cannot be read).
    """

    def status(self) -> JsonObject:
        """Return the last record, and what is ordered."""
        ...

    def cycle(self, number: int | None) -> JsonObject:
        """Return a whole record; the last for None."""
        ...

    def explain(self, server: str, number: int | None) -> JsonObject:
        """Return all that a cycle knew and decided of a server."""
        ...

    def history(
        self,
        count: int,
        *,
        before: int | None = None,
        since: float | None = None,
        until: float | None = None,
        server: str | None = None,
    ) -> JsonObject:
        """Return a page of cycles, the newest first, and where the next page begins."""
        ...

    def pending(self) -> JsonObject:
        """Return the plan that waits for approval."""
        ...

    def approve(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Approve decisions of the plan that waits."""
        ...

    def reject(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Reject decisions of the plan that waits."""
        ...

    def pause(self, reason: str) -> JsonObject:
        """Let the loop change nothing until it is resumed."""
        ...

    def resume(self) -> JsonObject:
        """Let the loop act again."""
        ...

    def trigger(self) -> JsonObject:
        """Begin a cycle now."""
        ...


@dataclass(frozen=True, slots=True)
class ControlParts:
    """The parts of the application.

    Attributes:
        desk: The desk of the loop.
        exposition: Returns the loop's metrics in Prometheus' text format.
        stalled: Returns why the loop is held to stand still; empty where it runs.
        openapi: The description of all endpoints, as JSON.
    """

    desk: ControlDesk
    exposition: Callable[[], bytes]
    stalled: Callable[[], str]
    openapi: Mapping[str, object] = field(default_factory=dict)
