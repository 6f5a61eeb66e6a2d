"""The three planes that times are surfaces over: decodes, prefills, and what mixing them saves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from profiler.iterations.states import States
from profiler.iterations.surface import Surface
from queueing.arrays import FloatArray
from stoker.domain.timing import IterationKind

_UNIT = 64.0
"""Tokens of context below which more of it hardly matters: the scale of that axis bends here."""

_UNKNOWN = 0.5
"""Standard deviation of a time, in logarithms, where nothing of its kind was measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Surfaces through all times measured; None where there are too few.

    Attributes:
        decode: Times over batch and context.
        prefill: Times over tokens computed and tokens before them.
        mixed: Times of iterations of both over the sum of the two times.
    """

    decode: Surface | None
    prefill: Surface | None
    mixed: Surface | None

    @classmethod
    def through(cls, states: States, like: Planes | None = None) -> Self:
        """Return the surfaces through measured times.

        Args:
            states: The times.
            like: Surfaces through most of the same times, whose smoothness is taken over.
        """
        of = like or cls(None, None, None)
        parts = {kind: states.take(states.of_kind(kind)) for kind in IterationKind}
        decodes, prefills = parts[IterationKind.DECODE], parts[IterationKind.PREFILL]
        alone = cls(
            _surface(decodes, decode_places, decode_terms, decodes.time_ms, of.decode),
            _surface(prefills, prefill_places, prefill_terms, prefills.time_ms, of.prefill),
            None,
        )
        mixed = parts[IterationKind.MIXED]
        if not len(mixed) or alone.decode is None or alone.prefill is None:
            return alone
        share = mixed.time_ms / alone.apart(mixed)
        both = _surface(mixed, mixed_places, _ones, share, of.mixed)
        return cls(alone.decode, alone.prefill, both)

    def apart(self, states: States) -> FloatArray:
        """Return what the decodes and the prompts of iterations take, one after the other."""
        total = np.zeros(len(states))
        for surface, there, places, terms in (
            (self.decode, states.decoding > 0, decode_places, decode_terms),
            (self.prefill, states.prompt_tokens > 0, prefill_places, prefill_terms),
        ):
            some = states.take(there)
            if surface is not None and len(some):
                total[there] += surface.at(places(some), terms(some))[0]
        return total

    def predict(self, states: States) -> tuple[FloatArray, FloatArray]:
        """Return times, 0 where unknown, and the standard deviation of their logarithms."""
        times, doubt = self.apart(states), np.full(len(states), _UNKNOWN)
        for kind, surface, places, terms in (
            (IterationKind.DECODE, self.decode, decode_places, decode_terms),
            (IterationKind.PREFILL, self.prefill, prefill_places, prefill_terms),
            (IterationKind.MIXED, self.mixed, mixed_places, _ones),
        ):
            there = states.of_kind(kind)
            some = states.take(there)
            if surface is None or not len(some):
                continue
            values, doubt[there] = surface.at(places(some), terms(some))
            times[there] = values * (times[there] if kind is IterationKind.MIXED else 1.0)
        return times, doubt


def decode_places(states: States) -> FloatArray:
    """Return where decodes are on their plane: doublings of batch and of context."""
    return np.column_stack([np.log2(np.maximum(states.decoding, 1.0)), _doublings(states.context)])


def decode_terms(states: States) -> FloatArray:
    """Return what decodes are made of: an iteration, its sequences, the tokens they read."""
    return np.column_stack([_one(states), states.decoding, states.decoding * states.context])


def prefill_places(states: States) -> FloatArray:
    """Return where prefills are on their plane: doublings of tokens and of tokens before them."""
    before = states.prompt_reads - states.prompt_tokens
    return np.column_stack([np.log2(np.maximum(states.prompt_tokens, 1.0)), _doublings(before)])


def prefill_terms(states: States) -> FloatArray:
    """Return what prefills are made of: an iteration, its tokens, pairs of them, tokens read."""
    tokens, reads = states.prompt_tokens, states.prompt_reads
    return np.column_stack([_one(states), tokens, tokens * (reads - tokens / 2.0), reads])


def mixed_places(states: States) -> FloatArray:
    """Return where iterations of both are on their plane: doublings of tokens and of batch."""
    return np.log2(np.maximum(np.column_stack([states.prompt_tokens, states.decoding]), 1.0))


def _ones(states: States) -> FloatArray:
    return np.ones((len(states), 1))


def _surface(
    states: States,
    places: Callable[[States], FloatArray],
    terms: Callable[[States], FloatArray],
    times: FloatArray,
    like: Surface | None,
) -> Surface | None:
    """Return the surface through times; None where there are fewer than two."""
    if len(states) < 2:
        return None
    return Surface.through(places(states), terms(states), times, states.noise, like)


def _one(states: States) -> FloatArray:
    return np.ones(len(states))


def _doublings(tokens: FloatArray) -> FloatArray:
    result: FloatArray = np.log2(1.0 + tokens / _UNIT)
    return result
