"""What a horizon costs without planning it: each hour alone, and the peak all the time."""

from __future__ import annotations

import numpy as np

from optimizer.horizon.outlay import Schedule, outlay_of
from optimizer.horizon.pricing import Path, Pricer, Prices, schedule_of
from optimizer.horizon.question import Question
from optimizer.table import FloatArray


def prices_alone(question: Question) -> Prices:
    """Return prices of cards where nothing is committed and nothing runs short."""
    price = np.array([offer.price for offer in question.offers])
    firm = np.repeat(price[:, None], question.hours, axis=1)
    return Prices(firm, np.zeros_like(firm))


def each_hour_alone(question: Question, pricer: Pricer) -> list[Schedule] | None:
    """Return the schedules of planning each hour alone, then started and kept up by the rules.

    Each server is on the option that is cheapest in each hour, or, where it keeps one, on the one
    whose hours cost the least together. None where minimum up-times leave no room for it.
    """
    cost, runs, spots = pricer.hourly(prices_alone(question))
    hours = np.arange(question.hours)
    found = []
    for server in np.unique(pricer.server).tolist():
        own = np.flatnonzero(pricer.server == server)
        if question.switch_cost is None:
            chosen = np.full(question.hours, own[int(cost[own].sum(axis=1).argmin())])
        else:
            chosen = own[cost[own].argmin(axis=0)]
        path = Path(chosen, runs[chosen, hours], spots[chosen, hours])
        schedule = schedule_of(question, server, path)
        if schedule is None:
            return None
        found.append(schedule)
    return found


def cost_alone(question: Question, schedules: list[Schedule] | None) -> float | None:
    """Return what schedules cost without commitments; None where they do not fit the cards."""
    if schedules is None:
        return None
    outlay = outlay_of(question, schedules, commit=False)
    return outlay.cost if outlay.fits(question) else None


def peak_all_the_time(question: Question, *, committed: bool) -> list[Schedule] | None:
    """Return schedules that run what each server's peak takes in every hour, all firm.

    Args:
        question: The question.
        committed: Whether on committed cards; only types that can be committed are used then.

    Returns:
        The schedules; None where a server has no option that can serve every hour so.
    """
    found = []
    for server in sorted({option.server for option in question.options}):
        best: tuple[float, Schedule] | None = None
        for at in question.of_server(server):
            option = question.options[at]
            offer = question.offers[option.offer]
            if min(option.need, default=0) < 0 or option.peak > option.most:
                continue
            if committed and offer.committed is None:
                continue
            each = option.price * question.hours
            if committed and offer.committed is not None:
                surcharge = question.surcharge(option) * question.hours
                each = option.cards * offer.committed + surcharge
            cost = each * option.peak
            if best is None or cost < best[0]:
                best = (cost, _constant(server, at, option.peak, question.hours))
        if best is None:
            return None
        found.append(best[1])
    return found


def cost_committed(question: Question, schedules: list[Schedule] | None) -> float | None:
    """Return what constant schedules cost with every card committed; None where not possible."""
    if schedules is None:
        return None
    outlay = outlay_of(question, schedules)
    held = outlay.firm_cards.max(axis=1, initial=0)
    most = np.array([offer.most_committed for offer in question.offers], dtype=np.int64)
    if not outlay.fits(question) or (held > most).any():
        return None
    term = np.array([offer.committed or 0.0 for offer in question.offers])
    return float((term * held).sum()) + _extra(question, schedules)


def _extra(question: Question, schedules: list[Schedule]) -> float:
    """Return what firm replicas cost beyond their cards."""
    total = 0.0
    for schedule in schedules:
        for place, at in enumerate(schedule.options):
            running: FloatArray = schedule.firm[place].astype(np.float64)
            total += question.surcharge(question.options[at]) * float(running.sum())
    return total


def _constant(server: int, option: int, replicas: int, hours: int) -> Schedule:
    firm = np.full((1, hours), replicas, dtype=np.int64)
    return Schedule(server, (option,), np.zeros(hours, dtype=np.int64), firm, np.zeros_like(firm))
