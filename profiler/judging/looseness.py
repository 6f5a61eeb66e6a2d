"""Parameters whose intervals leave the times of iterations open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields

from profiler.judging.states import decode_ms, prefill_ms
from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)

ParametricParameters = LinearParameters | TokenWorkParameters | OverlapParameters

LOOSE = 2.0
"""Ratio of a time at both ends of an interval from which the parameter is hardly told."""

_DECODES = ((1, 128), (32, 1024), (128, 1024))
_PROMPTS = (128, 1024, 4096)
_OUTPUT_TOKENS = 256


def loose_ends(
    profile: ModelProfile, confidence: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, tuple[float, float], str, float]]:
    """Yield the parameters that move a usual time by much, within their intervals.

    Yields:
        Name, interval, the time that moves most in words, and the ratio of that time at both ends.
    """
    parameters = profile.parameters
    if isinstance(parameters, IterationTable):
        return
    known = {field.name for field in fields(parameters)}
    for name, (low, high) in confidence.items():
        if name not in known or not 0 <= low < high:
            continue
        ends = [_times(_with(parameters, name, end), profile.max_batch) for end in (low, high)]
        words, ratio = max(
            ((words, ends[1][words] / ends[0][words]) for words in ends[0]),
            key=lambda pair: pair[1],
        )
        if ratio > LOOSE:
            yield name, (low, high), words, ratio


def _with(parameters: ParametricParameters, name: str, value: float) -> ServiceParameters:
    return type(parameters)(**(asdict(parameters) | {name: value}))


def _times(parameters: ServiceParameters, max_batch: int) -> dict[str, float]:
    """Return usual times in words: decodes, prefills, and first tokens with their delay."""
    states = [(min(batch, max_batch), context) for batch, context in _DECODES]
    found = {
        f"a decode of {batch:,} at a context of {context:,}": time
        for (batch, context), time in zip(states, decode_ms(parameters, states), strict=True)
    }
    for size, time in zip(_PROMPTS, prefill_ms(parameters, _PROMPTS), strict=True):
        found[f"a first token of {size:,} prompt tokens"] = time + _delay_ms(parameters)
    return found


def _delay_ms(parameters: ServiceParameters) -> float:
    if not isinstance(parameters, OverlapParameters):
        return 0.0
    fixed, sequence, output = parameters.delays_ms
    return fixed + sequence * _DECODES[1][0] + output * _OUTPUT_TOKENS
