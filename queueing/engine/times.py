"""The time of one iteration of the engine, by the parameters of each service-time model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns, finite_not_negative


class IterationTimes(Protocol):
    """What the analysis needs to know of a replica: how long an iteration takes in any state.

    States are arrays that broadcast to (..., cases).
    """

    @property
    def proportional(self) -> bool:
        """Whether every prompt adds the same, however many share an iteration."""
        ...

    def __len__(self) -> int:
        """Return the number of cases."""
        ...

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        ...

    def usable(self) -> BoolArray:
        """Tell for which cases the parameters make sense."""
        ...

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration.

        Args:
            decoding: sequences that make a token.
            context: KV tokens that each of them reads, on average.
            prompts: prompts computed; a part of one counts as that fraction.
            prompt_tokens: tokens of them computed.
            prompt_reads: KV tokens that their chunks read.
        """
        ...

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Tell where a state lies outside of what the model was measured at."""
        ...

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return how much later than its iteration ends a first token is with its reader.

        All that follows is later by as much, and no engine time passes. Grows in proportion to
        the output tokens, if at all.

        Args:
            decoding: sequences that make a token in that iteration.
            output_tokens: those that the request asks for.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ParametricTimes:
    """What models of a few numbers share; their fields are arrays (cases,), one a parameter.

    Parameters do not say where they were measured, so no state is outside of it, and tokens leave
    as iterations end, unless a model says otherwise.
    """

    def __len__(self) -> int:
        return len(self.parameters[0])

    @property
    def parameters(self) -> list[FloatArray]:
        """All parameters, in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def engine_times(self) -> list[FloatArray]:
        """The parameters that take engine time: all of them."""
        return self.parameters

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        return type(self)(*(array[rows] for array in self.parameters))

    def usable(self) -> BoolArray:
        """Parameters finite and not negative, and some engine time among them."""
        good = finite_not_negative(*self.parameters)
        usable: BoolArray = good & (np.sum(self.engine_times, axis=0) > 0.0)
        return usable

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Return no for every state (see `IterationTimes`)."""
        return nowhere(decoding, context, prompt_tokens, self.parameters[0])

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return none (see `IterationTimes`)."""
        return no_delay(decoding, output_tokens, self.parameters[0])


@dataclass(frozen=True, slots=True, eq=False)
class TokenWorkTimes(ParametricTimes):
    """The `token-work` generation: α + β·tokens computed + γ·KV tokens read; arrays (cases,)."""

    alpha_ms: FloatArray
    beta_ms: FloatArray
    gamma_ms: FloatArray

    @classmethod
    def of(cls, alpha_ms: npt.ArrayLike, beta_ms: npt.ArrayLike, gamma_ms: npt.ArrayLike) -> Self:
        """Build from scalars or arrays of one common length."""
        return cls(*columns(alpha_ms, beta_ms, gamma_ms))

    @property
    def proportional(self) -> bool:
        """Every prompt adds the same: the time is linear in tokens and reads."""
        return True

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        time: FloatArray = (
            self.alpha_ms
            + self.beta_ms * (decoding + prompt_tokens)
            + self.gamma_ms * (decoding * context + prompt_reads)
        )
        return time


@dataclass(frozen=True, slots=True, eq=False)
class LinearTimes(ParametricTimes):
    """The `linear` generation, played iteration by iteration; arrays (cases,).

    α + β·d where d > 0 sequences decode, and for every chunk γ·(its share of the prompt) +
    δ·(its tokens)·n, with n sequences in service; a part of a prompt is a sequence, too. So a
    prompt adds γ + δ·L·n in all, as the formula of that generation says, and an iteration of
    prompts alone costs no α.
    """

    alpha_ms: FloatArray
    beta_ms: FloatArray
    gamma_ms: FloatArray
    delta_ms: FloatArray

    @classmethod
    def of(
        cls,
        alpha_ms: npt.ArrayLike,
        beta_ms: npt.ArrayLike,
        gamma_ms: npt.ArrayLike,
        delta_ms: npt.ArrayLike,
    ) -> Self:
        """Build from scalars or arrays of one common length."""
        return cls(*columns(alpha_ms, beta_ms, gamma_ms, delta_ms))

    @property
    def proportional(self) -> bool:
        """Not quite: a prompt adds more beside others."""
        return False

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        time: FloatArray = (
            np.minimum(decoding, 1.0) * self.alpha_ms
            + self.beta_ms * decoding
            + self.gamma_ms * prompts
            + self.delta_ms * prompt_tokens * (decoding + np.maximum(prompts, 1.0))
        )
        return time


def nowhere(*arrays: FloatArray) -> BoolArray:
    """Return false in the common shape of the arrays."""
    return np.zeros(np.broadcast_shapes(*(np.shape(array) for array in arrays)), dtype=np.bool_)


def no_delay(*arrays: FloatArray) -> FloatArray:
    """Return 0 in the common shape of the arrays."""
    return np.zeros(np.broadcast_shapes(*(np.shape(array) for array in arrays)))
