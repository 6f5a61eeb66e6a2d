"""Replicas that several classes of requests share: what the mixture of them looks like.

A replica that serves classes k at the shares w_k of its arrivals sees requests whose lengths are a
mixture. Means and mean squares of prompts and answers are those of the mixture, so that the
analysis of one kind of request (`queueing.engine.open`) holds for the replica as a whole, with two
corrections for what a lognormal law of independent lengths does not know: long prompts may come
with short answers. So the context that decodes read, and what requests hold of the KV memory, are
those of the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns
from queueing.engine.cases import DEFAULT_TOKEN_BUDGET, EngineCases
from queueing.engine.held import held
from queueing.engine.requests import Requests
from queueing.engine.times import IterationTimes

_FIXED = 1e-6
"""Coefficient of variation below which lengths count as fixed: what rounding leaves."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedCases:
    """Replicas that classes share; arrays (cases,) or (classes, cases).

    Attributes:
        times: times of iterations.
        max_batch: requests in service at most, of all classes together.
        max_queue: requests in line at most, of all classes together.
        token_budget: tokens that one iteration computes at most.
        kv_tokens: KV capacity in tokens; infinity for no limit.
        arrival_cv: coefficient of variation of the times between arrivals of all classes.
        share: share of the arrivals, (classes, cases); 0 for a class that a case does not have.
            The first class of every case has some.
        priority: whose turn is first, smaller numbers before larger ones, (classes, cases); where
            all are alike, first come is first served.
        input_tokens: mean input tokens, (classes, cases).
        output_tokens: mean output tokens, (classes, cases).
        input_cv: coefficient of variation of the input tokens, (classes, cases).
        output_cv: of the output tokens, (classes, cases).
        prefix_hit_rate: share of each prompt that is in KV already, (classes, cases).
    """

    times: IterationTimes
    max_batch: FloatArray
    max_queue: FloatArray
    token_budget: FloatArray
    kv_tokens: FloatArray
    arrival_cv: FloatArray
    share: FloatArray
    priority: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    input_cv: FloatArray
    output_cv: FloatArray
    prefix_hit_rate: FloatArray

    @classmethod
    def of(
        cls,
        times: IterationTimes,
        arrival_rates: npt.ArrayLike,
        input_tokens: npt.ArrayLike,
        output_tokens: npt.ArrayLike,
        max_batch: npt.ArrayLike,
        max_queue: npt.ArrayLike = np.inf,
        *,
        priority: npt.ArrayLike = 0.0,
        input_cv: npt.ArrayLike = 0.0,
        output_cv: npt.ArrayLike = 0.0,
        prefix_hit_rate: npt.ArrayLike = 0.0,
        arrival_cv: npt.ArrayLike = 1.0,
        token_budget: npt.ArrayLike = DEFAULT_TOKEN_BUDGET,
        kv_tokens: npt.ArrayLike = np.inf,
    ) -> Self:
        """Build from arrays; those of classes are (classes, cases), or broadcast to it.

        Args:
            times: times of iterations, of every case.
            arrival_rates: of each class, in any unit: what counts is their shares.
            input_tokens: see the attributes.
            output_tokens: see the attributes.
            max_batch: see the attributes.
            max_queue: see the attributes.
            priority: see the attributes.
            input_cv: see the attributes.
            output_cv: see the attributes.
            prefix_hit_rate: see the attributes.
            arrival_cv: see the attributes.
            token_budget: see the attributes.
            kv_tokens: see the attributes.
        """
        *limits, _ = columns(
            max_batch, max_queue, token_budget, kv_tokens, arrival_cv, np.zeros(len(times))
        )
        rates, *lengths = np.broadcast_arrays(
            np.asarray(arrival_rates, dtype=np.float64),
            *(
                np.asarray(values, dtype=np.float64)
                for values in (
                    priority,
                    input_tokens,
                    output_tokens,
                    input_cv,
                    output_cv,
                    prefix_hit_rate,
                )
            ),
            np.zeros((1, len(times))),
        )[:-1]
        total = rates.sum(axis=0)
        share = rates / np.where(total > 0.0, total, 1.0)
        own_priority, inputs, outputs, own_input_cv, own_output_cv, hits = map(np.array, lengths)
        batch, queue, budget, memory, cv = limits
        return cls(
            times=times,
            max_batch=batch,
            max_queue=queue,
            token_budget=budget,
            kv_tokens=memory,
            arrival_cv=cv,
            share=share,
            priority=own_priority,
            input_tokens=inputs,
            output_tokens=outputs,
            input_cv=own_input_cv,
            output_cv=own_output_cv,
            prefix_hit_rate=hits,
        )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def classes(self) -> int:
        """Classes of a case at most."""
        return int(self.share.shape[0])

    def take(self, rows: RowSelector) -> Self:
        """Return the selected cases, in that order."""
        arrays = (getattr(self, field.name)[..., rows] for field in fields(self)[1:])
        return type(self)(self.times.take(rows), *arrays)

    def of_class(self, index: int) -> EngineCases:
        """Return replicas that have one of the classes alone; of the first where it has none."""
        own = np.where(self.share[index] > 0.0, index, 0)

        def pick(values: FloatArray) -> FloatArray:
            return values[own, np.arange(len(self))]

        return EngineCases(
            self.times,
            pick(self.input_tokens),
            pick(self.output_tokens),
            self.max_batch,
            self.max_queue,
            pick(self.input_cv),
            pick(self.output_cv),
            self.arrival_cv,
            self.token_budget,
            self.kv_tokens,
            pick(self.prefix_hit_rate),
        )

    def usable(self) -> BoolArray:
        """Tell which cases make sense."""
        usable: BoolArray = np.all(
            [self.of_class(index).usable() for index in range(self.classes)], axis=0
        )
        usable &= np.isfinite(self.priority).all(axis=0) & (self.share[0] > 0.0)
        return usable


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """The requests of all classes as one kind.

    Attributes:
        cases: replicas with that kind of requests.
        classes: moments of the requests of each class, of those that fit into memory.
    """

    cases: EngineCases
    classes: tuple[Requests, ...]

    @classmethod
    def of(cls, shared: SharedCases) -> Self:
        """Return the blend of the classes of each case."""
        classes = tuple(Requests.of(shared.of_class(index)) for index in range(shared.classes))
        share = shared.share
        prompts = np.array([item.held for item in classes])
        hits = (share * prompts * shared.prefix_hit_rate).sum(axis=0) / (share * prompts).sum(
            axis=0
        )
        inputs, input_cv = _mixed(share, shared.input_tokens, shared.input_cv)
        outputs, output_cv = _mixed(share, shared.output_tokens, shared.output_cv)
        plain = replace(
            shared.of_class(0),
            input_tokens=inputs,
            output_tokens=outputs,
            input_cv=input_cv,
            output_cv=output_cv,
            prefix_hit_rate=hits,
        )
        alike = Requests.of(plain)
        steps = share * np.array([item.steps for item in classes])
        read = (steps * np.array([item.context for item in classes])).sum(axis=0)
        decoded = steps.sum(axis=0)
        context = np.where(decoded > 1e-9, read / np.maximum(decoded, 1e-12), alike.context)
        tokens = share * np.array([item.output for item in classes])
        mean_held = (tokens * np.array([_held(item) for item in classes])).sum(axis=0)
        mean_held = mean_held / tokens.sum(axis=0)
        cases = replace(
            plain,
            times=ShiftedContext(shared.times, context - alike.context),
            kv_tokens=plain.kv_tokens * _held(alike) / mean_held,
        )
        fitting = tuple(held(shared.of_class(index)).requests for index in range(shared.classes))
        return cls(cases, fitting)


def _mixed(share: FloatArray, mean: FloatArray, cv: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and coefficient of variation of a mixture, arrays (cases,)."""
    average = (share * mean).sum(axis=0)
    some = np.where(average > 0.0, average, 1.0)
    # By deviations from the mean, so that classes that are alike have no more than their own.
    square = (share * ((mean - average) ** 2 + (cv * mean) ** 2)).sum(axis=0)
    spread = np.sqrt(square) / some
    return average, np.where(spread < _FIXED, 0.0, spread)


def _held(requests: Requests) -> FloatArray:
    """Return the KV tokens of a request in service, on average over its iterations."""
    held: FloatArray = (
        requests.held + 0.5 * (requests.output_square - requests.output) / requests.output
    )
    return held


@dataclass(frozen=True, slots=True, eq=False)
class ShiftedContext:
    """Times of iterations whose decodes read more, or less, than the lengths alone would tell.

    Attributes:
        times: the times.
        shift: KV tokens that each decoding sequence reads beside, array (cases,).
    """

    times: IterationTimes
    shift: FloatArray

    @property
    def proportional(self) -> bool:
        """Whether every prompt adds the same (see `IterationTimes`)."""
        return self.times.proportional

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        return type(self)(self.times.take(rows), self.shift[rows])

    def usable(self) -> BoolArray:
        """Tell for which cases the parameters make sense."""
        return self.times.usable()

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        read = np.maximum(context + self.shift, 0.0)
        return self.times.iteration_ms(decoding, read, prompts, prompt_tokens, prompt_reads)

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Tell where a state lies outside of what was measured (see `IterationTimes`)."""
        return self.times.extrapolates(decoding, context + self.shift, prompt_tokens)

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return by how much later a first token is read (see `IterationTimes`)."""
        return self.times.first_token_delay_ms(decoding, output_tokens)
