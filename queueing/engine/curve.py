"""Iteration times from measured curves: the `curve` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray, RowSelector
from queueing.engine.grid import Grids
from stoker.domain.curve import IterationTable


@dataclass(frozen=True, slots=True, eq=False)
class CurveTimes:
    """The `curve` model (see `IterationTable`): a table for each case, each kept once.

    States between whole ones are interpolated as well: less than one sequence in decode takes
    that share of the time of one.

    Attributes:
        table: index of the table of each case, (cases,).
        decode: decode times over batch and mean context.
        prefill: prefill times over prompt tokens computed and KV tokens that they read.
        shared_ms: what both include and an iteration pays once, (tables,).
        positive: whether a table has any time above 0, (tables,).
        delays: what delays first tokens: fixed, by sequence, by output token, (tables, 3).
    """

    table: IntArray
    decode: Grids
    prefill: Grids
    shared_ms: FloatArray
    positive: BoolArray
    delays: FloatArray

    @classmethod
    def of(cls, tables: Sequence[IterationTable]) -> Self:
        """Build from one table a case; equal ones are kept once.

        Raises:
            ValueError: there is no table.
        """
        if not tables:
            raise ValueError("no curves: give at least one table")
        index: dict[IterationTable, int] = {}
        # Cases of one fleet share the very same tables, which need no comparison of their values.
        seen: dict[int, int] = {}
        table = np.empty(len(tables), dtype=np.int64)
        for case, one in enumerate(tables):
            if id(one) not in seen:
                seen[id(one)] = index.setdefault(one, len(index))
            table[case] = seen[id(one)]
        kept = list(index)
        times = [(*one.decode_ms, *one.prefill_ms) for one in kept]
        return cls(
            table,
            Grids.of(
                [one.batches for one in kept],
                [one.contexts for one in kept],
                [one.decode_ms for one in kept],
            ),
            Grids.of(
                [one.prefill_tokens for one in kept],
                [one.prefill_contexts for one in kept],
                [one.prefill_ms for one in kept],
            ),
            np.array([one.shared_ms for one in kept], dtype=np.float64),
            np.array([any(any(row) for row in rows) for rows in times], dtype=np.bool_),
            np.array([one.delays_ms for one in kept], dtype=np.float64),
        )

    @property
    def proportional(self) -> bool:
        """Curves bend."""
        return False

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        return type(self)(
            self.table[rows],
            self.decode,
            self.prefill,
            self.shared_ms,
            self.positive,
            self.delays,
        )

    def usable(self) -> BoolArray:
        """Tables with any time above 0; all else was checked when they were made."""
        return self.positive[self.table]

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        decodes = np.minimum(decoding, 1.0)
        prefills = np.asarray(prompt_tokens) > 0.0
        shape = np.broadcast_shapes(
            *(np.shape(one) for one in (decoding, context, prompts, prompt_tokens, prompt_reads)),
            np.shape(self.table),
        )
        time: FloatArray = np.zeros(shape)
        if np.any(decodes > 0.0):
            time = time + decodes * self.decode.at(
                self.table, np.maximum(decoding, 1.0), np.asarray(context)
            )
        if np.any(prefills):
            alone = self.prefill.at(self.table, np.asarray(prompt_tokens), np.asarray(prompt_reads))
            beside = alone - decodes * self.shared_ms[self.table]
            time = time + np.where(prefills, beside, 0.0)
        return time

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Tell where a state lies outside of the knots of its table."""
        rows, columns = self.decode.rows, self.decode.columns
        batch = rows.outside(self.table, np.maximum(decoding, 1.0))
        decode = (decoding > 0.0) & (batch | columns.outside(self.table, np.asarray(context)))
        tokens = self.prefill.rows.outside(self.table, np.maximum(prompt_tokens, 1.0))
        outside: BoolArray = decode | ((prompt_tokens > 0.0) & tokens)
        return outside

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return how much later than its iteration ends a first token is with its reader."""
        fixed, sequence, output = self.delays[self.table].T
        delay: FloatArray = fixed + sequence * decoding + output * output_tokens
        return delay
