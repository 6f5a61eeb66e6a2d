"""A model that is being written: rows over columns, and further columns that rules need."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optimizer.pooled.columns import Columns
from optimizer.pooled.question import Question
from optimizer.pooled.rows import Rows
from optimizer.table import FloatArray, IntArray


@dataclass(slots=True)
class Sheet:
    """What is written of a model, block by block.

    Attributes:
        question: What it is the model of.
        columns: Its first columns.
        rows: Its rows.
        extra: Number of further columns.
        continuous: Which of them need not be whole.
        extra_upper: Their upper bounds, block by block.
        cut_column: Columns of cards that are cut into slices (`optimizer.pooled.cut`).
        cut_pool: Pool that the cards of each stand in.
    """

    question: Question
    columns: Columns
    rows: Rows = field(default_factory=Rows)
    extra: int = 0
    continuous: list[int] = field(default_factory=list)
    extra_upper: list[FloatArray] = field(default_factory=list)
    cut_column: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    cut_pool: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def count(self) -> int:
        """Number of columns so far."""
        return self.columns.count + self.extra

    def new_columns(self, upper: FloatArray, *, continuous: bool = False) -> IntArray:
        """Add columns with these upper bounds, and return their indices."""
        first = self.count
        fresh = np.arange(first, first + upper.size)
        self.extra += upper.size
        self.extra_upper.append(upper)
        if continuous:
            self.continuous += fresh.tolist()
        return fresh

    @property
    def entry_option(self) -> IntArray:
        """Option of each entry."""
        return self.columns.option[self.columns.entry_column]

    @property
    def entry_cards(self) -> FloatArray:
        """Whole cards that one unit of each entry's column takes there, those of slices apart."""
        cards = self.question.options.whole_cards[self.entry_option]
        return (cards * self.columns.entry_replicas).astype(np.float64)

    @property
    def entry_card_shares(self) -> FloatArray:
        """Cards that one unit of each entry's column takes there, a slice by its share of one."""
        share: FloatArray = self.question.options.card_share[self.entry_option]
        return share * self.columns.entry_replicas

    def by_entry(self, values: FloatArray) -> FloatArray:
        """Return values of entries added up by column."""
        found = np.bincount(self.columns.entry_column, weights=values, minlength=self.count)
        return found.astype(np.float64)

    def cards(self) -> FloatArray:
        """Return the whole cards of a unit of each column, those that are cut included."""
        found = self.by_entry(self.entry_cards)
        found[self.cut_column] = 1.0
        return found

    def parts(self) -> tuple[IntArray, IntArray]:
        """Return entries of split options, and their options."""
        option = self.entry_option
        entries = np.flatnonzero(self.columns.split[option])
        return entries, option[entries]

    def choosing(self) -> IntArray:
        """Return the column that takes each option, which every split option has one of."""
        chooser = np.full(self.question.options.count, -1, dtype=np.int64)
        takes = np.flatnonzero(self.columns.takes)
        chooser[self.columns.option[takes]] = takes
        return chooser

    def each_of_option(
        self,
        first: int,
        owner: IntArray,
        option: IntArray,
        column: IntArray,
        value: FloatArray,
    ) -> None:
        """Add, to each row of a block, all parts of the option that owns the row."""
        order = np.argsort(option, kind="stable")
        option, column, value = option[order], column[order], value[order]
        start = np.searchsorted(option, owner)
        stop = np.searchsorted(option, owner, side="right")
        counts = stop - start
        row = np.repeat(np.arange(owner.size), counts)
        offset = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
        part = np.repeat(start, counts) + offset
        self.rows.add(first + row, column[part], value[part])
