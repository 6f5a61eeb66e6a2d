"""The sequences in decode, counted along with the iterations instead of one by one.

A sequence is two numbers: its base, the context that it would have had at iteration 0, and its
finish, the iteration after which it leaves. The blocks that sequences will need are counted by the
iteration, modulo the block, in which they do. So an iteration costs the same for any batch.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from emulator.requests import EmulatedRequest


class Decoding:
    """The sequences in decode of one replica.

    Attributes:
        context: Tokens that they read in the next iteration, or the running one.
    """

    def __init__(self, block_tokens: int) -> None:
        self.context = 0
        self._block = block_tokens
        self._counter = 0  # iterations so far
        self._heap: list[tuple[int, int, EmulatedRequest]] = []  # who leaves first, first
        self._phases = [0] * block_tokens
        self._read_along: dict[int, EmulatedRequest] = {}  # by order

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._heap)

    @property
    def requests(self) -> list[EmulatedRequest]:
        """The requests, in no order."""
        return [entry[2] for entry in self._heap]

    @property
    def read_along(self) -> list[EmulatedRequest]:
        """Those whose tokens are read as they come."""
        return list(self._read_along.values())

    def blocks_needed(self) -> int:
        """Return the KV blocks that the next iteration needs."""
        return self._phases[self._counter % self._block]

    def join(self, request: EmulatedRequest) -> None:
        """Let a request decode from the next iteration on."""
        context = request.prompt_tokens + request.produced
        request.base = context - self._counter
        request.finish = self._counter + request.output_tokens - request.produced
        self.context += context
        self._phases[(1 - request.base) % self._block] += 1
        heappush(self._heap, (request.finish, request.order, request))
        if request.on_token is not None:
            self._read_along[request.order] = request

    def step(self, sequences: int) -> None:
        """Count an iteration that made a token of so many sequences."""
        self._counter += 1
        self.context += sequences

    def leaving(self) -> EmulatedRequest | None:
        """Take out a request that has made its last token; None where there is no more."""
        if not self._heap or self._heap[0][0] != self._counter:
            return None
        request = heappop(self._heap)[2]
        self._forget(request)
        self.context -= request.prompt_tokens + request.output_tokens
        request.produced = request.output_tokens
        return request

    def youngest(self) -> EmulatedRequest:
        """Return the request that was admitted last."""
        return max(self._heap, key=lambda entry: entry[1])[2]

    def take_out(self, request: EmulatedRequest) -> int:
        """Take out a request before it is done; return the tokens whose KV it held.

        Raises:
            ValueError: It does not decode.
        """
        self._heap.remove((request.finish, request.order, request))
        heapify(self._heap)
        self._forget(request)
        context = request.base + self._counter
        self.context -= context
        request.produced = request.output_tokens - (request.finish - self._counter)
        return context - 1

    def __contains__(self, request: EmulatedRequest) -> bool:
        """Return whether a request decodes."""
        return (request.finish, request.order, request) in self._heap

    def _forget(self, request: EmulatedRequest) -> None:
        self._phases[(1 - request.base) % self._block] -= 1
        self._read_along.pop(request.order, None)
