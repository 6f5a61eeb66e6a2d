"""The iteration loop of one replica, in steps: time is given to it, it has no clock of its own.

It plays what `docs/simulator.md` calls one iteration, like `simulator`, but lets requests come,
break off and be watched while it goes on. An iteration costs some microseconds, whatever the batch.
"""

from __future__ import annotations

import math
from collections import deque

from emulator.decoding import Decoding
from emulator.memory import KvMemory
from emulator.pace import Work, first_token_delays, pace_of
from emulator.requests import EmulatedRequest, RequestState
from emulator.watcher import Watcher
from simulator import Engine


class IterationLoop:
    """One replica's engine.

    Times are ms of a clock that the caller keeps; they must not go back. Requests that come at a
    boundary take part in the iteration that begins there, so that one begins only when time moves
    on (`play`) or is asked for (`begin`).

    Attributes:
        memory: Its KV memory.
        slowdown: Factor on the time of iterations that begin from now on.
    """

    def __init__(self, engine: Engine, watcher: Watcher) -> None:
        self.slowdown = 1.0
        self._pace = pace_of(engine.iteration)
        self._delays = first_token_delays(engine.iteration)
        self._watcher = watcher
        self._batch_limit = min(engine.max_batch, engine.token_budget)
        self._queue_limit = math.inf if engine.max_queue is None else engine.max_queue
        self._budget = engine.token_budget
        self.memory = KvMemory(engine.kv_tokens, engine.block_tokens)
        self._waiting: deque[EmulatedRequest] = deque()
        self._decoding = Decoding(self.memory.block_tokens)
        self._partial: EmulatedRequest | None = None
        self._ending: list[EmulatedRequest] = []  # their prefill ends with the running iteration
        self._broken_off: list[EmulatedRequest] = []
        self._order = 0
        self._began_ms = 0.0
        self._end_ms = math.inf
        self._ready_ms = math.inf  # a boundary at which an iteration is to begin
        self._tokens = 0  # computed by the running iteration
        self._running = 0  # sequences in decode in it
        self._frozen_ms: float | None = None

    @property
    def running(self) -> int:
        """Requests in service."""
        return len(self._decoding) + len(self._ending) + (self._partial is not None)

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self._waiting)

    @property
    def in_system(self) -> int:
        """Requests in service and in line."""
        return self.running + len(self._waiting)

    @property
    def kv_blocks_wanted(self) -> int:
        """KV blocks in use, and those that the line asks for."""
        blocks_of = self.memory.blocks_of
        wanted = sum(blocks_of(r.prompt_tokens + r.produced) for r in self._waiting)
        return self.memory.used + wanted

    def next_ms(self) -> float:
        """Return when the running iteration ends; infinite where none runs."""
        self.begin()
        return self._end_ms if self._frozen_ms is None else math.inf

    def submit(self, request: EmulatedRequest, now_ms: float) -> None:
        """Let a request come.

        It may end at once: too large for the memory, or turned away from a full line.
        """
        self.play(now_ms)
        request.arrival_ms = now_ms
        if math.isnan(request.sent_ms):
            request.sent_ms = now_ms
        if not self.memory.ever_holds(request.prompt_tokens + request.output_tokens - 1):
            request.end(RequestState.TOO_LARGE, now_ms, "larger than the KV memory")
            return
        if self.in_system >= self._batch_limit + self._queue_limit:
            request.end(RequestState.TURNED_AWAY, now_ms, "the line is full")
            return
        request.order = self._order
        self._order += 1
        self._waiting.append(request)
        self._wake(now_ms)

    def abort(self, request: EmulatedRequest, now_ms: float) -> None:
        """Break off a request whose reader went away; it leaves at the next boundary."""
        self.play(now_ms)
        if request.ended:
            return
        if request in self._waiting:
            self._waiting.remove(request)
        else:
            self._broken_off.append(request)
            self._wake(now_ms)
        request.end(RequestState.ABORTED, now_ms, "its reader went away")

    def fail_all(self, now_ms: float, reason: str) -> None:
        """Lose every request and all KV, as in a crash."""
        partial = [] if self._partial is None else [self._partial]
        lost = [*self._waiting, *self._ending, *self._decoding.requests, *partial]
        self._waiting.clear()
        self._decoding = Decoding(self.memory.block_tokens)
        self._ending.clear()
        self._broken_off.clear()
        self._partial = None
        self.memory.clear()
        self._end_ms = self._ready_ms = math.inf
        self._frozen_ms = None
        for request in lost:
            request.end(RequestState.FAILED, now_ms, reason)

    def freeze(self, now_ms: float) -> None:
        """Stand still: what runs goes on from there when it is thawed."""
        if self._frozen_ms is None:
            self.play(now_ms)
            self.begin()
            self._frozen_ms = now_ms

    def thaw(self, now_ms: float) -> None:
        """Go on after a freeze, later by as long as it took."""
        if self._frozen_ms is None:
            return
        if self._end_ms < math.inf:
            stood_ms = now_ms - self._frozen_ms
            self._began_ms += stood_ms
            self._end_ms += stood_ms
        elif self._ready_ms < math.inf:
            self._ready_ms = now_ms
        self._frozen_ms = None

    def play(self, to_ms: float) -> None:
        """Let time pass: play all iterations that end by then, and begin those before it."""
        if self._frozen_ms is not None:
            return
        while True:
            if self._end_ms <= to_ms and self._end_ms < math.inf:
                self._complete()
            elif self._ready_ms < to_ms:
                self.begin()
            else:
                return

    def begin(self) -> None:
        """Begin the iteration at the boundary that time has come to, where there is one."""
        if self._ready_ms < math.inf and self._frozen_ms is None:
            now, self._ready_ms = self._ready_ms, math.inf
            self._schedule(now)

    def _wake(self, now_ms: float) -> None:
        """Let an iteration begin now where the engine was idle."""
        if self._end_ms == math.inf and self._ready_ms == math.inf:
            self._ready_ms = now_ms

    def _schedule(self, now: float) -> None:
        """Choose what the next iteration computes, and start it."""
        if self._broken_off:
            self._drop_broken_off()
        preempted = False
        while (needed := self._decoding.blocks_needed()) > self.memory.free:
            self._preempt_youngest(now)
            preempted = True
        self.memory.free -= needed
        decoding = batch = len(self._decoding)
        budget = self._budget - decoding
        tokens, read, shares = 0, 0, 0.0
        request = self._partial
        while True:
            if request is None:
                request = self._admit(now, batch, budget) if not preempted else None
                if request is None:
                    break
            chunk = min(budget, request.left)
            request.left -= chunk
            budget -= chunk
            batch += 1
            tokens += chunk
            read += request.prompt_tokens + request.produced - request.left
            shares += chunk / request.to_compute
            if request.left:
                self._partial = request
                break
            self._partial = None
            self._ending.append(request)
            request = None
        if batch:
            time = self._pace(Work(decoding, self._decoding.context, batch, tokens, read, shares))
            self._began_ms = now
            self._end_ms = now + time * self.slowdown
            self._running, self._tokens = decoding, decoding + tokens

    def _admit(self, now: float, batch: int, budget: int) -> EmulatedRequest | None:
        """Take the first of the line into the batch; None where it has no room for it."""
        if not self._waiting or budget <= 0 or batch >= self._batch_limit:
            return None
        request = self._waiting[0]
        held = request.prompt_tokens + request.produced
        if not self.memory.take(held):
            return None
        self._waiting.popleft()
        request.state = RequestState.RUNNING
        request.to_compute = request.left = held - request.cached_tokens
        if math.isnan(request.admitted_ms):
            request.admitted_ms = now
            self._watcher.admitted(request)
        return request

    def _complete(self) -> None:
        """End the running iteration: tokens leave, and requests with them."""
        now, self._end_ms = self._end_ms, math.inf
        running = self._running
        self._watcher.iterated(self._tokens)
        if running:
            self._decoding.step(running)
            self._watcher.gap(now - self._began_ms, running)
            for request in self._decoding.read_along:
                if request.on_token is not None:
                    request.on_token(now + request.delay_ms)
            while (leaving := self._decoding.leaving()) is not None:
                self.memory.give_back(leaving.prompt_tokens + leaving.output_tokens - 1)
                self._done(leaving, now)
        if self._ending:
            ending, self._ending = self._ending, []
            for request in ending:
                self._prefilled(request, now, running)
        if self._decoding or self._waiting or self._partial is not None or self._broken_off:
            self._ready_ms = now

    def _prefilled(self, request: EmulatedRequest, now: float, running: int) -> None:
        """Hand on the token that completes a prefill, and let the request decode."""
        if request.ended:
            self._broken_off.remove(request)
            self.memory.give_back(request.prompt_tokens + request.produced)
            return
        if request.produced == 0:
            fixed, by_sequence, by_output = self._delays
            request.delay_ms = fixed + by_sequence * running + by_output * request.output_tokens
            request.first_token_ms = now + request.delay_ms
            self._watcher.first_token(request)
        else:
            self._watcher.gap(now - request.last_token_ms, 1)
        if request.on_token is not None:
            request.on_token(now + request.delay_ms)
        request.produced += 1
        if request.produced == request.output_tokens:
            self.memory.give_back(request.prompt_tokens + request.produced - 1)
            self._done(request, now)
            return
        self._decoding.join(request)

    def _done(self, request: EmulatedRequest, now: float) -> None:
        if request.ended:  # broken off while its last iteration ran
            if request in self._broken_off:
                self._broken_off.remove(request)
            return
        request.completion_ms = now + request.delay_ms
        self._watcher.finished(request)
        request.end(RequestState.DONE, request.completion_ms)

    def _preempt_youngest(self, now: float) -> None:
        """Send the youngest sequence back to the head of the line; its KV is lost."""
        request = self._partial
        if request is not None:
            # The prompt under way came last: whatever it left of the budget was nothing.
            self._partial = None
            held = request.prompt_tokens + request.produced
        else:
            request = self._decoding.youngest()
            held = self._decoding.take_out(request)
            request.last_token_ms = now
        self.memory.give_back(held)
        request.preemptions += 1
        request.state = RequestState.WAITING
        self._waiting.appendleft(request)
        self._watcher.preempted(request)

    def _drop_broken_off(self) -> None:
        """Free what requests hold whose readers went away."""
        for request in self._broken_off:
            if request is self._partial:
                self._partial = None
                self.memory.give_back(request.prompt_tokens + request.produced)
            elif request in self._decoding:
                self.memory.give_back(self._decoding.take_out(request))
        self._broken_off.clear()
