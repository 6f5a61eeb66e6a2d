"""The system of the Inferno verbs, shared by all requests."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from api.system_state import SystemState

_Answer = TypeVar("_Answer")


class SystemStore:
    """Holds one immutable state at a time.

    A reader keeps the state that it took, whatever is written meanwhile; a change is a pure
    function from one state to the next, and changes come one after the other.
    """

    def __init__(self, state: SystemState | None = None) -> None:
        """Start from a state; None for an empty one."""
        self._state = SystemState() if state is None else state
        self._lock = Lock()

    def snapshot(self) -> SystemState:
        """Return the state as it is now."""
        return self._state

    def update(self, change: Callable[[SystemState], tuple[SystemState, _Answer]]) -> _Answer:
        """Replace the state by the first result of a function of it; return the second.

        An exception of the function leaves the state as it was.
        """
        with self._lock:
            state, answer = change(self._state)
            self._state = state
        return answer
