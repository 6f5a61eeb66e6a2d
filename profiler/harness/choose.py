"""The fastest attention of a device, among the kernels that compute the right thing."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from profiler.harness.attention import Attention, AttentionPath, MixedAttention, attention
from profiler.harness.clocks import StopWatch
from profiler.harness.shape import Shape

_ORDER = (
    AttentionPath.FLASH,
    AttentionPath.CUDNN,
    AttentionPath.EFFICIENT,
    AttentionPath.MATH,
)
_RUNS = 7
_CLOSE = 0.02
"""Relative deviation, in the mean, from the reference: rounding of 16 bits is below it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Attention for decodes and for prompts.

    Attributes:
        attention: It.
        name: Its kernels, for a profile.
    """

    attention: Attention
    name: str


def fixed(path: AttentionPath) -> Chosen:
    """Return one kernel for everything."""
    return Chosen(attention(path), path.value)


def fastest(
    shape: Shape,
    dtype: torch.dtype,
    device: torch.device,
    watch: StopWatch,
    devices: int = 1,
    tokens: int = 1024,
) -> Chosen:
    """Return the fastest kernels for a model: one for decodes, one for prompts.

    Each kernel first has to compute what the reference does, with and without a prefix.

    Args:
        shape: Dimensions of the model.
        dtype: Type of activations.
        device: Where.
        watch: Measures them.
        devices: Devices that share the heads.
        tokens: Length of the prompt and of the contexts that they are measured with.
    """
    trial = _Trial(shape, dtype, device, devices, tokens)
    with warnings.catch_warnings():
        # torch warns at length of every kernel that it cannot run; the others are the answer.
        warnings.simplefilter("ignore")
        decode = _best(watch, trial.decode)
        prompt = _best(watch, trial.prompt)
    if decode is prompt:
        return fixed(decode)
    mixed = MixedAttention(attention(decode), attention(prompt))
    return Chosen(mixed, f"{decode.value} decode, {prompt.value} prompt")


def _best(watch: StopWatch, trial: Callable[[Attention], list[torch.Tensor]]) -> AttentionPath:
    expected = trial(attention(AttentionPath.REFERENCE))
    times: dict[AttentionPath, float] = {}
    for path in _ORDER:
        candidate = attention(path)
        try:
            if not _alike(trial(candidate), expected):
                continue
            runs = [watch.time_ms(partial(trial, candidate)) for _ in range(_RUNS)]
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            continue  # no such kernel for this device, type or size of heads
        times[path] = statistics.median(runs)
    return min(times, key=times.__getitem__, default=AttentionPath.REFERENCE)


def _alike(answers: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    for answer, right in zip(answers, expected, strict=True):
        error = (answer.float() - right.float()).abs().mean() / right.float().abs().mean()
        if not float(error) < _CLOSE:
            return False
    return True


class _Trial:
    """Random queries, keys and values of a model's heads."""

    def __init__(
        self, shape: Shape, dtype: torch.dtype, device: torch.device, devices: int, tokens: int
    ) -> None:
        generator = torch.Generator(device).manual_seed(0)
        heads, kv_heads = shape.query_heads // devices, max(1, shape.kv_heads // devices)

        def random(*sizes: int) -> torch.Tensor:
            return torch.randn(*sizes, generator=generator, device=device).to(dtype)

        sequences = 8
        self._queries = random(sequences, heads, shape.head_size)
        self._held = tuple(random(sequences, kv_heads, tokens, shape.head_size) for _ in range(2))
        self._prompt = random(tokens, heads, shape.head_size)

    @torch.no_grad()
    def decode(self, by: Attention) -> list[torch.Tensor]:
        """Return what sequences attend to."""
        keys, values = self._held
        return [by.decode(self._queries, keys, values)]

    @torch.no_grad()
    def prompt(self, by: Attention) -> list[torch.Tensor]:
        """Return what a whole prompt and a chunk of one attend to."""
        keys, values = (each[0] for each in self._held)
        half = len(self._prompt) // 2
        return [by.prompt(self._prompt, keys, values), by.prompt(self._prompt[half:], keys, values)]
