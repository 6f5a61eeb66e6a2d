"""Schedules as values for readers: servers by hour, cards by type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimizer.horizon.outlay import Outlay, Schedule, starting, use_of
from optimizer.horizon.question import UNLIMITED, Question
from optimizer.horizon.solution import Solution
from stoker.domain.horizon import CardSchedule, ReplicaRun, ServerHour, ServerSchedule


def server_schedules(solution: Solution, priority: Sequence[int]) -> tuple[ServerSchedule, ...]:
    """Return the schedules by server, in the order of the servers."""
    question = solution.question
    return tuple(
        _server(question, schedule, priority[schedule.server])
        for schedule in sorted(solution.schedules, key=lambda item: item.server)
    )


def _server(question: Question, schedule: Schedule, priority: int) -> ServerSchedule:
    use = use_of(question, schedule)
    price = np.array([offer.price for offer in question.offers])
    cost = float((use.firm_cards.sum(axis=1) * price).sum()) + use.fixed_cost
    return ServerSchedule(
        server=question.servers[schedule.server],
        priority=priority,
        hours=tuple(_hour(question, schedule, hour) for hour in range(question.hours)),
        runs=tuple(
            _run(question, schedule, place)
            for place, at in enumerate(schedule.options)
            if question.options[at].name
        ),
        switches=schedule.switches,
        cost=cost,
    )


def _hour(question: Question, schedule: Schedule, hour: int) -> ServerHour:
    place = int(schedule.active[hour])
    option = question.options[schedule.options[place]]
    firm, spot = int(schedule.firm[place, hour]), int(schedule.spot[place, hour])
    running = firm + spot > 0 or option.need[hour] > 0
    return ServerHour(
        accelerator=option.name if running and option.name else None,
        needed=option.need[hour],
        firm=firm,
        spot=spot,
        counted_spot=int(question.counted(option, spot)[-1]),
    )


def _run(question: Question, schedule: Schedule, place: int) -> ReplicaRun:
    option = question.options[schedule.options[place]]
    firm, spot = schedule.firm[place], schedule.spot[place]
    return ReplicaRun(
        accelerator=option.name,
        configuration=option.configuration,
        card_type=question.offers[option.offer].name,
        cards_per_replica=option.cards,
        cost_per_hour=option.price,
        firm=tuple(firm.tolist()),
        firm_starting=tuple(starting(firm, question.start_hours).tolist()),
        spot=tuple(spot.tolist()),
        spot_starting=tuple(starting(spot, question.start_hours).tolist()),
    )


def card_schedules(solution: Solution, outlay: Outlay) -> tuple[CardSchedule, ...]:
    """Return the cards of each type that is used, in the order of the types."""
    question = solution.question
    found = []
    for at, offer in enumerate(question.offers):
        firm, spot, held = outlay.firm_cards[at], outlay.spot_cards[at], int(outlay.committed[at])
        if not (firm.any() or spot.any() or held):
            continue
        limited = bool((question.limit[at] < UNLIMITED).all())
        found.append(
            CardSchedule(
                card_type=offer.name,
                price_per_hour=offer.price,
                reserved=held,
                reserved_used=tuple(np.minimum(firm, held).tolist()),
                on_demand=tuple(np.maximum(firm - held, 0).tolist()),
                spot=tuple(spot.tolist()),
                available=tuple(question.limit[at].tolist()) if limited else None,
                reserved_cost=float(outlay.committed_cost[at]),
                on_demand_cost=float(outlay.on_demand_cost[at]),
                spot_cost=float(outlay.spot_cost[at]),
            )
        )
    return tuple(found)
