"""An estimate as a profile to plan with: reduced to `token-work`, or tabulated as a `curve`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from queueing.arrays import FloatArray
from queueing.roofline import constants
from queueing.roofline.deployment import Deployment
from queueing.roofline.memory import kv_room, weight_bytes_per_card
from queueing.roofline.tabulation import TableFit, tabulate_estimate
from queueing.roofline.times import decode_time, prefill_time
from stoker.domain.profile import EstimateKind, ModelProfile, Provenance, TokenWorkParameters

_DECODE_POINTS = 12
_PREFILL_POINTS = 6
_GB = 1e9


@dataclass(frozen=True, slots=True)
class OperatingRange:
    """Where the reduced parameters have to hold.

    Attributes:
        input_tokens: Input tokens of a request.
        output_tokens: Output tokens of a request.
        max_batch: Largest batch, at least 1.
    """

    input_tokens: float
    output_tokens: float
    max_batch: int

    @property
    def mean_context_tokens(self) -> float:
        """Context of a sequence halfway through its decode."""
        return self.input_tokens + self.output_tokens / 2.0


@dataclass(frozen=True, slots=True)
class TokenWorkFit:
    """Reduced parameters, and how far they are from the estimate that they stand for.

    Attributes:
        parameters: The parameters.
        median_deviation: Median relative deviation over the points of the range.
        largest_deviation: Largest relative deviation.
    """

    parameters: TokenWorkParameters
    median_deviation: float
    largest_deviation: float


def reduce_to_token_work(deployment: Deployment, span: OperatingRange) -> TokenWorkFit:
    """Return the `token-work` parameters nearest to the estimate over an operating range.

    Least squares of relative deviations, parameters not negative, over decode iterations of 1 to
    `max_batch` sequences (spaced geometrically) with a context at the start, the middle and the
    end of their decode, and over prefills of a half to two prompts, within the token budget.

    Args:
        deployment: The model on its cards.
        span: The operating range.
    """
    design, times = _points(deployment, span)
    solution, _ = nnls(design / times[:, None], np.ones(len(times)))
    deviations = np.abs(design @ solution / times - 1.0)
    alpha, beta, gamma = (float(value) for value in solution)
    return TokenWorkFit(
        TokenWorkParameters(alpha, beta, gamma),
        float(np.median(deviations)),
        float(np.max(deviations)),
    )


def profile(
    deployment: Deployment, input_tokens: float, output_tokens: float, *, as_curve: bool = False
) -> ModelProfile:
    """Return the estimate as a profile to plan with, labelled as estimated.

    The batch limit is the one that fits in memory with whole requests, at most
    `DEFAULT_MAX_SEQUENCES`. A curve tells the KV memory as well, which only the analysis that
    takes curves heeds.

    Args:
        deployment: The model on its cards.
        input_tokens: Input tokens of a request.
        output_tokens: Output tokens of a request, at least 1.
        as_curve: Tabulate the estimate; else reduce it to `token-work`.

    Raises:
        ValueError: Not even one request fits in memory.
    """
    room = kv_room(deployment)
    fits = room.largest_batch(input_tokens + output_tokens)
    if fits < 1:
        raise ValueError(
            f"{deployment.model.name} with {input_tokens + output_tokens:g} tokens of context "
            f"does not fit on {deployment.tensor_parallel} × {deployment.accelerator.name}"
        )
    max_batch = min(fits, constants.DEFAULT_MAX_SEQUENCES)
    fit: TokenWorkFit | TableFit
    if as_curve:
        fit, held = tabulate_estimate(deployment), "tabulated over all states"
    else:
        span = OperatingRange(input_tokens, output_tokens, max_batch)
        fit = reduce_to_token_work(deployment, span)
        held = (
            f"reduced for {input_tokens:g} input and {output_tokens:g} output tokens, batch 1 to "
            f"{max_batch}"
        )
    card, cards = deployment.accelerator, deployment.tensor_parallel
    outside = (1.0 - constants.ENGINE_MEMORY_SHARE) * card.memory_gb
    weights = deployment.dense_precision.value
    if deployment.expert_precision is not deployment.dense_precision:
        weights = f"{weights} (experts {deployment.expert_precision.value})"
    source = (
        f"Roofline estimate from specifications, not measured: {deployment.model.name} on "
        f"{cards} × {card.name} (tensor parallel {cards}), weights {weights}, KV "
        f"{deployment.kv_precision.value}; {held}"
    )
    return ModelProfile(
        model=deployment.model.name,
        accelerator=card.name,
        accelerators_per_replica=cards,
        max_batch=max_batch,
        at_tokens=max(1, round(output_tokens)),
        parameters=fit.parameters,
        provenance=Provenance(EstimateKind.ESTIMATED, source),
        required_memory_gb=cards * (weight_bytes_per_card(deployment) / _GB + outside),
        kv_tokens=room.kv_tokens if as_curve else None,
    )


def _points(deployment: Deployment, span: OperatingRange) -> tuple[FloatArray, FloatArray]:
    """Return rows (1, tokens computed, KV tokens read) and the times that belong to them."""
    batch = np.geomspace(1.0, max(span.max_batch, 1), _DECODE_POINTS)[:, None]
    contexts = span.input_tokens + span.output_tokens * np.array([[0.0, 0.5, 1.0]])
    contexts = np.maximum(contexts, 1.0)
    n, context = (array.ravel() for array in np.broadcast_arrays(batch, contexts))
    rows = [np.column_stack([np.ones_like(n), n, n * context])]
    times = [decode_time(deployment, n, context).total_ms]
    if span.input_tokens >= 1:
        most = max(min(2.0 * span.input_tokens, constants.DEFAULT_TOKEN_BUDGET), 1.0)
        least = min(max(span.input_tokens / 2.0, 1.0), most)
        tokens = np.geomspace(least, most, _PREFILL_POINTS)
        rows.append(np.column_stack([np.ones_like(tokens), tokens, tokens]))
        times.append(prefill_time(deployment, tokens).total_ms)
    return np.concatenate(rows), np.concatenate(times)
