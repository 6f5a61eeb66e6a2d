"""Which iterations are worth timing: a net of them, and the few that come first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stoker.domain.timing import IterationCase

_Item = TypeVar("_Item")

_CHUNKS, _LONGEST_CHUNK = 3, 8192
"""Sizes of chunks behind prefixes or beside decodes: the longest of engines, and quarters of it."""

_MIXED_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How far cases go.

    Attributes:
        max_batch: Most decoding sequences.
        max_context: Longest context.
        max_prefill: Most prompt tokens of an iteration.
        kv_tokens: Tokens that KV memory holds.
        least_context: Shortest context of decoding sequences.
    """

    max_batch: int
    max_context: int
    max_prefill: int
    kv_tokens: int
    least_context: int = 16


def candidates(limits: Limits) -> tuple[IterationCase, ...]:
    """Return all cases that may be timed, those that memory does not hold left out.

    Decodes over doublings of the batch and fourfold steps of the context, with the largest batch at
    each context; prefills over doublings of tokens, alone and in chunks behind a prefix; and
    iterations of both.
    """
    cases = {*_decodes(limits), *_prefills(limits), *_mixed(limits)}
    return tuple(sorted(case for case in cases if tokens_held(case) <= limits.kv_tokens))


def first_cases(limits: Limits, seed: int) -> tuple[IterationCase, ...]:
    """Return the cases that are timed before any other, in random order.

    The corners of each plane and its middle, so that nothing is extrapolated later on.
    """
    everything = candidates(limits)
    decodes = [case for case in everything if case.decode_batch and not case.prefill_tokens]
    prefills = [case for case in everything if case.prefill_tokens and not case.decode_batch]
    mixed = [case for case in everything if case.prefill_tokens and case.decode_batch]
    chosen: set[IterationCase] = set()
    contexts = sorted({case.context_tokens for case in decodes})
    for context in _spread(contexts, 3):
        at_it = sorted(case for case in decodes if case.context_tokens == context)
        chosen.update(_spread(at_it, 3))
    prefixes = sorted({case.prefix_tokens for case in prefills})
    for prefix in _spread(prefixes, 3):
        behind = sorted(case for case in prefills if case.prefix_tokens == prefix)
        chosen.update(_spread(behind, 5 if prefix == 0 else 2))
    chosen.update(_spread(sorted(mixed), 3))
    return tuple(shuffled(chosen, seed))


def shuffled(cases: Iterable[IterationCase], seed: int) -> list[IterationCase]:
    """Return cases in an order that depends on the seed and on them alone."""

    def key(case: IterationCase) -> bytes:
        return hashlib.sha256(f"{seed}/{case}".encode()).digest()

    return sorted(cases, key=key)


def tokens_held(case: IterationCase) -> int:
    """Return the KV tokens that a case takes, those that it adds included."""
    decoding = case.decode_batch * (case.context_tokens + 1)
    return decoding + case.prefix_tokens + case.prefill_tokens


def doublings(most: int, least: int = 1) -> tuple[int, ...]:
    """Return the powers of two from least to most, and most itself."""
    powers = [1 << power for power in range(most.bit_length()) if least <= 1 << power <= most]
    return tuple(sorted({*powers, max(most, 1)}))


def _contexts(limits: Limits) -> tuple[int, ...]:
    longest = max(1, limits.max_context - 1)
    powers = doublings(longest, min(limits.least_context, longest))
    return tuple(sorted({*powers[::-1][::2], powers[0]}))


def _decodes(limits: Limits) -> Iterator[IterationCase]:
    for context in _contexts(limits):
        largest = min(limits.max_batch, limits.kv_tokens // (context + 1))
        for batch in doublings(largest) if largest else ():
            yield IterationCase(0, 0, batch, context)


def _prefills(limits: Limits) -> Iterator[IterationCase]:
    longest = min(limits.max_prefill, limits.max_context)
    for tokens in doublings(longest):
        yield IterationCase(tokens, 0, 0, 0)
    chunks = _chunks(limits)
    for tokens in chunks:
        room = limits.max_context - tokens
        if room >= 1:
            for prefix in {*doublings(room, min(chunks[-1], room))[::2], room}:
                yield IterationCase(tokens, prefix, 0, 0)


def _mixed(limits: Limits) -> Iterator[IterationCase]:
    if limits.max_batch < 2:
        return
    contexts = _contexts(limits)
    context = contexts[len(contexts) // 2]
    for tokens in _chunks(limits):
        for batch in _spread(doublings(limits.max_batch), _MIXED_BATCHES):
            yield IterationCase(tokens, 0, batch, context)


def _chunks(limits: Limits) -> tuple[int, ...]:
    """Return the sizes of chunks, the longest first."""
    longest = min(limits.max_prefill, limits.max_context, _LONGEST_CHUNK)
    return doublings(longest)[::-1][::2][:_CHUNKS]


def _spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return so many of some items: the first, the last, and evenly between them."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]
