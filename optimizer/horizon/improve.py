"""Better choices from given ones: one server after the other answers to what the others take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimizer.horizon.outlay import Outlay, Schedule, outlay_of, use_of
from optimizer.horizon.pricing import Pricer, Room, schedules_of
from optimizer.horizon.question import UNLIMITED, Question
from optimizer.horizon.run import Run
from optimizer.table import IntArray

_MOST_SWEEPS = 6
"""Times that every server answers, at most."""

_LEAST = 1e-9
"""Relative improvement that counts."""

_WORTH = 2e-4
"""Relative improvement that is worth another time round."""


class Incumbent:
    """The best schedules so far that fit the cards."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.schedules: list[Schedule] | None = None
        self.cost = np.inf

    def offer(self, schedules: Sequence[Schedule]) -> bool:
        """Take schedules where they fit and cost less; return whether they do."""
        outlay = outlay_of(self.question, schedules)
        if not outlay.cost < self.cost or not outlay.fits(self.question):
            return False
        self.schedules, self.cost = list(schedules), outlay.cost
        return True

    def gap(self, bound: float) -> float:
        """Return the distance from a bound, relative to the cost."""
        if self.schedules is None:
            return np.inf
        return (self.cost - bound) / self.cost if self.cost > 0 else max(0.0, -bound)


def answered(
    question: Question,
    pricer: Pricer,
    schedules: Sequence[Schedule],
    options: Sequence[Sequence[int]],
    run: Run,
) -> list[Schedule]:
    """Return schedules that servers improved, each by its cheapest answer to what the others take.

    Args:
        question: The question.
        pricer: Its pricer.
        schedules: To start from, one for each server; they may take more cards than there are.
        options: Options that each of them may answer with.
        run: Ends the search in time.
    """
    chosen = list(schedules)
    uses = [use_of(question, schedule) for schedule in chosen]
    outlay = outlay_of(question, chosen)
    score = outlay.cost + _excess(question, outlay)
    for _ in range(_MOST_SWEEPS):
        before = score
        for at in np.argsort([-use.firm_cards.sum() for use in uses], kind="stable").tolist():
            if run.left_s <= 0:
                return chosen
            firm = outlay.firm_cards - uses[at].firm_cards
            spot = outlay.spot_cards - uses[at].spot_cards
            path = pricer.respond(options[at], _room(question, firm, spot, outlay.committed))
            if path is None:
                continue
            for answer in schedules_of(question, chosen[at].server, path):
                trial = [*chosen[:at], answer, *chosen[at + 1 :]]
                priced = outlay_of(question, trial)
                trial_score = priced.cost + _excess(question, priced)
                if trial_score < score - _LEAST * abs(score):
                    chosen, outlay, score = trial, priced, trial_score
                    uses[at] = use_of(question, answer)
        if before - score <= _WORTH * abs(before):
            break
    return chosen


def _room(question: Question, firm: IntArray, spot: IntArray, committed: IntArray) -> Room:
    idle = np.maximum(committed[:, None] - firm, 0).astype(np.float64)
    left = np.where(question.limited, np.maximum(question.limit - firm - spot, 0), np.inf)
    return Room(idle, left)


def _excess(question: Question, outlay: Outlay) -> float:
    """Return a price of cards beyond those that there are, above all that others cost."""
    over = np.maximum(outlay.firm_cards + outlay.spot_cards - question.limit, 0)
    most_spot = np.array([offer.most_spot for offer in question.offers], dtype=np.int64)
    over += np.where(
        most_spot[:, None] < UNLIMITED, np.maximum(outlay.spot_cards - most_spot[:, None], 0), 0
    )
    over += outlay.beyond_on_demand(question)
    price = np.array([offer.price for offer in question.offers])
    return 100.0 * float((over * price[:, None]).sum())
