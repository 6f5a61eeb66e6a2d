"""Sizes of the requests of a server: measured now, expected, or taken from what was told before."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.control.observation import ExpectedOutput, ServerObservation
from stoker.domain.control.signals import SignalName
from stoker.domain.workload import Load

_TOKENS = (SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS)


@dataclass(frozen=True, slots=True)
class RequestSizes:
    """Mean tokens of the requests of a server.

    Attributes:
        inputs: Input tokens of a request.
        outputs: Output tokens of a request.
        reason: Why they are not measured now, though requests come, in words; empty where they are,
            and where no requests come.
        as_before: Whether they are, for that reason, those that were measured last.
    """

    inputs: float
    outputs: float
    reason: str = ""
    as_before: bool = False


def sizes_of(
    seen: ServerObservation,
    before: tuple[float, float] | None,
    document: Load | None,
    offered_rps: float,
) -> RequestSizes | str:
    """Return the sizes of requests; why they are unknown, in words, where nothing tells them.

    Sizes with a reason are good for growing: who shrinks by them goes by what nobody measures.

    Args:
        seen: What was measured.
        before: Input and output tokens as they were measured last; None where they never were.
        document: The load as the fleet document tells it; None for unknown.
        offered_rps: Requests that come per second.
    """
    inputs, outputs = (seen.usable(name) for name in _TOKENS)
    if inputs is not None and outputs is not None:
        return RequestSizes(inputs, outputs)
    expected = _expected_output(seen, guess=before is None and document is None)
    if inputs is not None and expected is not None and offered_rps > 0:
        words = f"{expected.tokens:.4g} are expected by {expected.basis}"
        reason = f"{SignalName.OUTPUT_TOKENS.value} not measured: {words}"
        return RequestSizes(inputs, expected.tokens, reason)
    reason = ""
    missing = [name for name in _TOKENS if seen.usable(name) is None]
    as_before = before is not None and offered_rps > 0
    if as_before:
        unknown = (
            f"{name.value} not measured now ({seen.signal(name).reason})" for name in missing
        )
        reason = f"{', '.join(unknown)}: as measured last"
    elif offered_rps > 0:
        if document is None or document.output_tokens <= 0:
            return f"{missing[0].value} unknown: {seen.signal(missing[0]).reason}"
        before = document.input_tokens, document.output_tokens
        reason = f"{missing[0].value} not measured yet: those of the fleet document count"
    known = before or (0.0, 0.0)
    return RequestSizes(
        known[0] if inputs is None else inputs,
        known[1] if outputs is None else outputs,
        reason,
        as_before,
    )


def spreads_of(seen: ServerObservation, document: Load | None) -> tuple[float, float]:
    """Return the coefficients of variation of input and output tokens.

    What is not measured is as the fleet document says: taken for none, it would ask for fewer
    replicas than lengths that vary need.
    """
    inputs = seen.usable(SignalName.INPUT_TOKENS_CV)
    outputs = seen.usable(SignalName.OUTPUT_TOKENS_CV)
    if document is not None:
        inputs = document.input_tokens_cv if inputs is None else inputs
        outputs = document.output_tokens_cv if outputs is None else outputs
    return inputs or 0.0, outputs or 0.0


def _expected_output(seen: ServerObservation, *, guess: bool) -> ExpectedOutput | None:
    """Return what to expect by requests to the model; by those to others only for a guess."""
    expected = seen.expected_output
    return expected if expected is not None and (expected.of_model or guess) else None
