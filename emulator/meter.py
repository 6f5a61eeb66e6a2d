"""What a replica has done since it started, counted as its metrics tell it."""

from __future__ import annotations

from collections import Counter

from emulator.dialect import Buckets
from emulator.histogram import Histogram
from emulator.requests import EmulatedRequest

_MS = 1e-3


class Meter:
    """Counters and histograms of one replica; watches its iteration loop.

    Attributes:
        ttft_s: Time from arrival at the replica to the first token.
        itl_s: Time between tokens, a value a token.
        tpot_s: The same as the mean of each request, a value a request.
        e2e_s: Time from arrival to the last token.
        queue_s: Time in line.
        prefill_s: Time from first service to the first token.
        decode_s: Time from the first token to the last.
        inference_s: Time from first service to the last token.
        input_tokens: Prompt tokens of finished requests.
        output_tokens: Output tokens of finished requests.
        iteration_tokens: Tokens computed by each iteration.
        generated: Output tokens made so far.
        prefilled: Prompt tokens of requests admitted so far.
        cached: Those of them found in the prefix cache.
        preemptions: KV losses so far.
        finished_by: Requests that ended, by reason (length, stop, abort).
        cut_short: Those of the aborted ones that were being served.
        arrived: Requests that came.
        answered: Requests that were answered over HTTP, by class of the status (2xx, 5xx).
    """

    def __init__(self, buckets: Buckets) -> None:
        self.ttft_s = Histogram(buckets.ttft_s)
        self.itl_s = Histogram(buckets.itl_s)
        self.tpot_s = Histogram(buckets.itl_s)
        self.e2e_s = Histogram(buckets.request_s)
        self.queue_s = Histogram(buckets.request_s)
        self.prefill_s = Histogram(buckets.request_s)
        self.decode_s = Histogram(buckets.request_s)
        self.inference_s = Histogram(buckets.request_s)
        self.input_tokens = Histogram(buckets.tokens)
        self.output_tokens = Histogram(buckets.tokens)
        self.iteration_tokens = Histogram(buckets.iteration_tokens)
        self.generated = 0
        self.prefilled = 0
        self.cached = 0
        self.preemptions = 0
        self.finished_by: Counter[str] = Counter({"length": 0, "stop": 0, "abort": 0})
        self.cut_short = 0
        self.arrived = 0
        self.answered: Counter[str] = Counter({"2xx": 0})

    def admitted(self, request: EmulatedRequest) -> None:
        """Count a prompt, and what of it was cached."""
        self.prefilled += request.prompt_tokens
        self.cached += request.cached_tokens

    def iterated(self, tokens: int) -> None:
        """Count an iteration."""
        self.iteration_tokens.observe(tokens)

    def gap(self, gap_ms: float, tokens: int) -> None:
        """Count tokens that came so long after the ones before them."""
        self.itl_s.observe(gap_ms * _MS, tokens)
        self.generated += tokens

    def first_token(self, request: EmulatedRequest) -> None:
        """Count a first token."""
        self.ttft_s.observe((request.first_token_ms - request.arrival_ms) * _MS)
        self.generated += 1

    def finished(self, request: EmulatedRequest) -> None:
        """Count a request that is done."""
        decode_s = (request.completion_ms - request.first_token_ms) * _MS
        prefill_s = (request.first_token_ms - request.admitted_ms) * _MS
        self.e2e_s.observe((request.completion_ms - request.arrival_ms) * _MS)
        self.queue_s.observe((request.admitted_ms - request.arrival_ms) * _MS)
        self.prefill_s.observe(prefill_s)
        self.decode_s.observe(decode_s)
        self.inference_s.observe(prefill_s + decode_s)
        if request.output_tokens > 1:
            self.tpot_s.observe(decode_s / (request.output_tokens - 1))
        self.input_tokens.observe(request.prompt_tokens)
        self.output_tokens.observe(request.output_tokens)
        self.finished_by["length"] += 1
        self.answered["2xx"] += 1

    def preempted(self, request: EmulatedRequest) -> None:
        """Count a loss of KV."""
        self.preemptions += 1

    def failed(self) -> None:
        """Count a request that was answered with an error of the server."""
        self.answered["5xx"] += 1

    def aborted(self, *, served: bool) -> None:
        """Count a request that was broken off, in the queue or while it was served."""
        self.finished_by["abort"] += 1
        self.cut_short += served
