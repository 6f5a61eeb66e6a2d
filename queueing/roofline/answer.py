"""The whole estimate of a deployment for requests of one shape, as values to show."""

from __future__ import annotations

from dataclasses import dataclass

from queueing.roofline import constants
from queueing.roofline.deployment import Deployment
from queueing.roofline.memory import KvRoom, kv_room, smallest_tensor_parallel
from queueing.roofline.reduction import OperatingRange, TokenWorkFit, profile, reduce_to_token_work
from queueing.roofline.tabulation import TableFit, tabulate_estimate
from queueing.roofline.times import Bound, decode_time, prefill_time
from stoker.domain.profile import ModelProfile
from stoker.domain.units import MS_PER_SECOND

_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class DecodePoint:
    """A decode iteration: its time, the output tokens of all sequences per second, its bound."""

    batch: int
    context_tokens: int
    time_ms: float
    output_tokens_per_s: float
    bound: Bound


@dataclass(frozen=True, slots=True)
class PrefillPoint:
    """A prefill iteration: its time, the input tokens per second, its bound."""

    tokens: int
    time_ms: float
    input_tokens_per_s: float
    bound: Bound


@dataclass(frozen=True, slots=True)
class Estimate:
    """What specifications say of a model on cards; nothing in it was measured.

    Attributes:
        deployment: The model on its cards.
        room: Memory.
        largest_batch: Whole requests that fit at once; 0 where the model does not fit.
        smallest_tensor_parallel: Fewest cards that hold the model and one request; None where no
            number that shares the heads evenly does.
        lone_ttft_ms: TTFT of a request that is alone; None where it does not fit.
        decode: Decode iterations over batch and context; empty where the model does not fit.
        prefill: Prefill iterations over tokens; likewise.
        profile: Profile to plan with; None where the model does not fit.
        reduction: How well the profile stands for the estimate; likewise.
    """

    deployment: Deployment
    room: KvRoom
    largest_batch: int
    smallest_tensor_parallel: int | None
    lone_ttft_ms: float | None
    decode: tuple[DecodePoint, ...]
    prefill: tuple[PrefillPoint, ...]
    profile: ModelProfile | None
    reduction: TokenWorkFit | TableFit | None


def estimate(
    deployment: Deployment, input_tokens: int, output_tokens: int, *, as_curve: bool = False
) -> Estimate:
    """Return the estimate of a deployment for requests of that shape.

    Args:
        deployment: The model on its cards.
        input_tokens: Input tokens of a request, at least 1.
        output_tokens: Output tokens of a request, at least 1.
        as_curve: Give the profile as a table of iteration times; else reduced to `token-work`.
    """
    room = kv_room(deployment)
    longest = input_tokens + output_tokens
    fits = room.largest_batch(longest)
    smallest = smallest_tensor_parallel(
        deployment.model,
        deployment.accelerator,
        longest,
        deployment.weight_precision,
        deployment.kv_precision,
    )
    if fits < 1:
        return Estimate(deployment, room, 0, smallest, None, (), (), None, None)
    max_batch = min(fits, constants.DEFAULT_MAX_SEQUENCES)
    lone = float(prefill_time(deployment, input_tokens).total_ms)
    span = OperatingRange(float(input_tokens), float(output_tokens), max_batch)
    return Estimate(
        deployment,
        room,
        fits,
        smallest,
        constants.FIRST_TOKEN_MS + lone,
        _decode_points(deployment, max_batch, input_tokens, output_tokens),
        _prefill_points(deployment, input_tokens),
        profile(deployment, input_tokens, output_tokens, as_curve=as_curve),
        tabulate_estimate(deployment) if as_curve else reduce_to_token_work(deployment, span),
    )


def _decode_points(
    deployment: Deployment, max_batch: int, input_tokens: int, output_tokens: int
) -> tuple[DecodePoint, ...]:
    batches = sorted({*(n for n in _BATCHES if n <= max_batch), max_batch})
    middle = input_tokens + output_tokens // 2
    contexts = sorted({input_tokens, middle, input_tokens + output_tokens})
    points = []
    for n in batches:
        for context in contexts:
            time = decode_time(deployment, n, context)
            total = float(time.total_ms)
            rate = n / total * MS_PER_SECOND
            points.append(DecodePoint(n, context, total, rate, Bound(str(time.bounds))))
    return tuple(points)


def _prefill_points(deployment: Deployment, input_tokens: int) -> tuple[PrefillPoint, ...]:
    sizes = {max(1, input_tokens // 4), max(1, input_tokens // 2), input_tokens, 2 * input_tokens}
    points = []
    for tokens in sorted(sizes):
        time = prefill_time(deployment, tokens)
        total = float(time.total_ms)
        rate = tokens / total * MS_PER_SECOND
        points.append(PrefillPoint(tokens, total, rate, Bound(str(time.bounds))))
    return tuple(points)
