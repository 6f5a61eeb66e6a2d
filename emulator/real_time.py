"""Real time for what has no clock: a fleet, or a load on a fleet, played along with a clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

_LONGEST_S = 3600.0


class Player(Protocol):
    """What lets time pass when it is told to."""

    def advance(self, now_ms: float) -> None:
        """Let time pass."""

    def next_ms(self) -> float:
        """Return when something happens next; infinite where nothing will by itself."""


class EmulatedClock:
    """Time in ms since it was made, so many times as fast as a clock of seconds."""

    def __init__(self, seconds: Callable[[], float], speed: float = 1.0) -> None:
        """Begin at 0.

        Args:
            seconds: Monotonic seconds.
            speed: Emulated seconds in one of them.

        Raises:
            ValueError: The speed is not above 0.
        """
        if not (speed > 0 and math.isfinite(speed)):
            raise ValueError(f"speed is {speed} (allowed: above 0)")
        self.speed = speed
        self._seconds = seconds
        self._start_s = seconds()

    def now_ms(self) -> float:
        """Return the emulated time."""
        return (self._seconds() - self._start_s) * 1000.0 * self.speed

    def seconds_until(self, at_ms: float) -> float:
        """Return the real seconds until an emulated time; 0 where it has passed."""
        return max(at_ms - self.now_ms(), 0.0) / 1000.0 / self.speed


class RealTime:
    """Lets a player's time pass: wakes up when something is due, and not more often.

    What is late (the process was busy) is made up for: the player's own times do not shift.
    """

    def __init__(self, player: Player, clock: EmulatedClock, *, rest_ms: float = 0.0) -> None:
        """Set up; nothing moves before `start`.

        Args:
            player: What is played.
            clock: Its time.
            rest_ms: Emulated time between two wakings, at least. Where nobody waits for single
                tokens, some ten ms spare the processor and change no figure.
        """
        self._player = player
        self._clock = clock
        self._rest_ms = rest_ms
        self._handle: asyncio.TimerHandle | None = None
        self._stopped = True

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._stopped = False
        self._tick()

    def stop(self) -> None:
        """End; what has not happened by now does not."""
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def touch(self) -> None:
        """Look anew when to wake up, after something came from outside."""
        if self._stopped:
            return
        due_ms = self._player.next_ms()
        if due_ms == math.inf:
            wait_s = _LONGEST_S
        else:
            rested_ms = max(due_ms, self._clock.now_ms() + self._rest_ms)
            wait_s = min(self._clock.seconds_until(rested_ms), _LONGEST_S)
        loop = asyncio.get_running_loop()
        if self._handle is not None:
            self._handle.cancel()
        self._handle = loop.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._player.advance(self._clock.now_ms())
        self.touch()
