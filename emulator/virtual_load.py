"""Load inside the process: phases that drive a fleet, without HTTP, and what its clients saw."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from emulator.fleet import EmulatedFleet
from emulator.load_phases import Load, LoadRequest
from emulator.requests import EmulatedRequest, RequestState


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a request of the load; times in ms of the fleet's clock.

    Attributes:
        sent_ms: When it was sent.
        ttft_ms: Time to first token, waiting before the replicas included; NaN where none came.
        itl_ms: Mean time between its tokens; NaN where there were no two.
        e2e_ms: Time to its end.
        prompt_tokens: Its prompt.
        output_tokens: Tokens asked for.
        done: Whether it got them all.
        replica: Who served it.
        phase: Index of the phase that it belongs to.
    """

    sent_ms: float
    ttft_ms: float
    itl_ms: float
    e2e_ms: float
    prompt_tokens: int
    output_tokens: int
    done: bool
    replica: str
    phase: int


class VirtualLoad:
    """Sends the requests of a load to a fleet as time passes.

    It stands in the place of the fleet for whoever lets time pass: `advance` sends what is due, in
    order, and lets the fleet go on. Requests that have ended are kept until they are taken.
    """

    def __init__(
        self,
        load: Load,
        fleet: EmulatedFleet,
        *,
        start_ms: float = 0.0,
        on_served: Callable[[Served], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            load: What to send.
            fleet: Whom to.
            start_ms: When the load begins on the fleet's clock.
            on_served: Called for each request that has ended; else they are kept for `taken`.
        """
        self.fleet = fleet
        self.sent = 0
        self._load = load
        self._start_ms = start_ms
        self._coming: Iterator[LoadRequest] = load.requests()
        self._next = next(self._coming, None)
        self._ended: deque[Served] = deque()
        self._on_served = on_served or self._ended.append

    @property
    def finished(self) -> bool:
        """Whether everything was sent and has ended."""
        return self._next is None and self.fleet.in_system == 0

    def next_ms(self) -> float:
        """Return when something happens next."""
        sending = math.inf if self._next is None else self._time_of(self._next)
        return min(sending, self.fleet.next_ms())

    def advance(self, now_ms: float) -> None:
        """Let time pass."""
        while self._next is not None and self._time_of(self._next) <= now_ms:
            self._send(self._next)
            self._next = next(self._coming, None)
        self.fleet.advance(now_ms)

    def taken(self) -> list[Served]:
        """Return the requests that have ended since the last call."""
        taken = list(self._ended)
        self._ended.clear()
        return taken

    def _time_of(self, request: LoadRequest) -> float:
        return self._start_ms + request.at_s * 1000.0

    def _send(self, asked: LoadRequest) -> None:
        def ended(request: EmulatedRequest) -> None:
            self._on_served(
                Served(
                    request.sent_ms,
                    request.ttft_ms,
                    request.itl_ms,
                    request.e2e_ms,
                    request.prompt_tokens,
                    request.output_tokens,
                    request.state is RequestState.DONE,
                    request.replica,
                    asked.phase,
                )
            )

        self.sent += 1
        request = EmulatedRequest(asked.prompt_tokens, asked.output_tokens, on_end=ended)
        self.fleet.submit(request, self._time_of(asked))
