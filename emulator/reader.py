"""Who waits for the tokens of a request."""

from __future__ import annotations

import asyncio
from collections import deque

from emulator.requests import EmulatedRequest


class Reader:
    """Takes tokens from the engine as they are made, and hands them to who waits for them."""

    def __init__(self, prompt_tokens: int, output_tokens: int, *, stream: bool) -> None:
        self.request = EmulatedRequest(
            prompt_tokens,
            output_tokens,
            on_token=self._token if stream else None,
            on_end=self._end,
        )
        self._due_ms: deque[float] = deque()
        self._waiting: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether the engine is done with the request."""
        return self.request.ended

    async def wait(self) -> list[float]:
        """Return when each of the tokens made since the last call is due.

        Waits for one, or for the end of the request; then there may be none.
        """
        while not self._due_ms and not self.request.ended:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        due = list(self._due_ms)
        self._due_ms.clear()
        return due

    def _token(self, due_ms: float) -> None:
        self._due_ms.append(due_ms)
        self._wake()

    def _end(self, request: EmulatedRequest) -> None:
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
