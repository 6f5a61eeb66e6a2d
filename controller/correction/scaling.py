"""A profile whose times are multiplied: what a factor of decode and one of prefill mean."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)

Grid = tuple[tuple[float, ...], ...]


def scaled_profile(profile: ModelProfile, decode: float, prefill: float) -> ModelProfile:
    """Return a profile with its times multiplied, its origin telling so.

    Args:
        profile: The profile.
        decode: Factor of what an iteration takes in any case and for each sequence that decodes.
        prefill: Factor of what prompt tokens take, and of what delays first tokens.
    """
    words = f"corrected by what was observed: decode x{decode:.3g}, prefill x{prefill:.3g}"
    origin = profile.provenance
    source = f"{origin.source}; {words}" if origin.source else words
    return replace(
        profile,
        parameters=scaled_parameters(profile.parameters, decode, prefill),
        provenance=replace(origin, source=source),
    )


def scaled_parameters(
    parameters: ServiceParameters, decode: float, prefill: float
) -> ServiceParameters:
    """Return parameters with their times multiplied; see `scaled_profile`."""
    match parameters:
        case LinearParameters(alpha, beta, gamma, delta):
            return LinearParameters(alpha * decode, beta * decode, gamma * prefill, delta * prefill)
        case TokenWorkParameters(alpha, beta, gamma):
            # Nearly all tokens computed are those of prompts.
            return TokenWorkParameters(alpha * decode, beta * prefill, gamma * decode)
        case OverlapParameters():
            return OverlapParameters(
                base_ms=parameters.base_ms * decode,
                weights_ms=parameters.weights_ms * decode,
                token_ms=parameters.token_ms * prefill,
                sequence_ms=parameters.sequence_ms * decode,
                kv_token_ms=parameters.kv_token_ms * decode,
                attention_ms=parameters.attention_ms * prefill,
                prompts_ms=parameters.prompts_ms * prefill,
                first_token_ms=parameters.first_token_ms * prefill,
                first_token_sequence_ms=parameters.first_token_sequence_ms * prefill,
                first_token_output_ms=parameters.first_token_output_ms * prefill,
            )
        case IterationTable():
            return replace(
                parameters,
                decode_ms=_times(parameters.decode_ms, decode),
                prefill_ms=_times(parameters.prefill_ms, prefill),
                # What both include is in each, so that no more than the smaller can be shared.
                shared_ms=parameters.shared_ms * min(decode, prefill),
                first_token_ms=parameters.first_token_ms * prefill,
                first_token_sequence_ms=parameters.first_token_sequence_ms * prefill,
                first_token_output_ms=parameters.first_token_output_ms * prefill,
            )


def _times(grid: Grid, factor: float) -> Grid:
    return tuple(tuple(value * factor for value in row) for row in grid)
