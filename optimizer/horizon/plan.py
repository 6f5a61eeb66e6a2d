"""One call from a fleet, its hourly demand and terms to the plan of the horizon."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.horizon.baselines import cost_alone, cost_committed, peak_all_the_time
from optimizer.horizon.heeded import as_heeded, refuse_unheeded, spare_of
from optimizer.horizon.needs import Needs, Way, replica_needs
from optimizer.horizon.outlay import Outlay, outlay_of
from optimizer.horizon.pooled_cards import (
    PooledCards,
    notes_of,
    pooled_cards,
    terms_with_pools,
)
from optimizer.horizon.present import card_schedules, server_schedules
from optimizer.horizon.question import IMPOSSIBLE, UNLIMITED, Offer, Option, Question
from optimizer.horizon.run import Run
from optimizer.horizon.solution import Solution, solve_question
from optimizer.horizon.terms import check_terms, horizon_cost_of_commitment, matched_demand
from optimizer.solver import default_backend
from optimizer.table import IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import HorizonPlan, HorizonTerms, HourlyDemand, UnscheduledServer
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import DEFAULT_ANALYSIS, Analysis
from stoker.domain.slo import LOWEST_PRIORITY

GAP = 0.01
"""Relative gap at which a plan counts as proven, where none is asked for."""

TIME_LIMIT_S = 60.0
"""Seconds after which the best plan found is returned, where no limit is asked for."""


def plan_horizon(
    fleet: Fleet,
    demand: HourlyDemand,
    terms: HorizonTerms,
    *,
    analysis: Analysis | None = None,
    gap: float = GAP,
    time_limit_s: float = TIME_LIMIT_S,
    backend: str = "highs",
    method: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> HorizonPlan:
    """Return the cheapest commitments, cards and replicas by hour that keep all promises.

    Args:
        fleet: Servers, promises, profiles, accelerators, cards. The loads of its servers are not
            looked at.
        demand: The load of every server in every hour.
        terms: What is offered of cards, and how replicas start and stop.
        analysis: Performance model; None for the fleet's own.
        gap: Relative gap that counts as proven.
        time_limit_s: Seconds after which the best found is returned.
        backend: Solver: ``highs``, ``cbc`` or any name that PuLP lists.
        method: ``milp`` for one integer program, ``columns`` for the decomposition by server; None
            to choose by size.
        clock: Seconds.

    Raises:
        InvalidInputError: Demand or terms do not fit the fleet, or a target is beyond the analysis.
        SolverUnavailableError: The solver is not installed, or failed to run at all.
    """
    start = clock()
    check_terms(fleet, terms, demand.hours)
    refuse_unheeded(fleet, terms)
    pooled = pooled_cards(fleet, terms)
    terms = terms_with_pools(fleet, terms, pooled)
    fleet, demand, heeded = as_heeded(fleet, matched_demand(fleet, demand))
    name, note = default_backend(backend)
    run = Run(name, start + time_limit_s, clock)
    chosen = analysis or fleet.settings.analysis or DEFAULT_ANALYSIS
    needs = replica_needs(fleet, demand, chosen)
    sized = clock()
    question = question_of(fleet, demand.hours, terms, needs, pooled)
    priority = _priorities(fleet)
    solution = solve_question(question, priority, gap, run, method)
    outlay = outlay_of(solution.question, solution.schedules)
    solved = clock()
    constant = peak_all_the_time(solution.question, committed=False)
    committed = peak_all_the_time(solution.question, committed=True)
    cost = outlay.cost
    bound = None if solution.timed_out else solution.bound
    relative = _gap(cost, bound)
    return HorizonPlan(
        status=_status(solution, relative, gap),
        hours=demand.hours,
        currency=fleet.currency,
        analysis=chosen,
        quantile=demand.quantile,
        terms=terms,
        cost=cost,
        bound=bound,
        gap=relative,
        reserved_cost=float(outlay.committed_cost.sum()),
        on_demand_cost=float(outlay.on_demand_cost.sum()),
        spot_cost=float(outlay.spot_cost.sum()),
        switch_cost=outlay.switch_cost,
        hour_by_hour_cost=cost_alone(solution.question, solution.alone),
        static_cost=cost_alone(solution.question, constant),
        static_reserved_cost=cost_committed(solution.question, committed),
        schedules=server_schedules(solution, priority),
        cards=card_schedules(solution, outlay),
        unscheduled=_unscheduled(fleet, needs, solution),
        method=solution.method,
        notes=tuple(
            text for text in (note, *heeded, *notes_of(pooled), *_notes(solution, outlay)) if text
        ),
        timings_ms={
            "candidates": 1e3 * (sized - start),
            "solve": 1e3 * (solved - sized),
            "total": 1e3 * (clock() - start),
        },
    )


def question_of(
    fleet: Fleet,
    hours: int,
    terms: HorizonTerms,
    needs: Needs,
    pooled: Mapping[str, PooledCards] | None = None,
) -> Question:
    """Return the question of a fleet's needs under terms, those of its pools among them.

    The price of a card of a type is that of the configuration of whole cards that has it cheapest;
    what a configuration costs beyond its cards is paid for every replica, committed cards or not.
    """
    pooled = pooled or {}
    prices: dict[str, float] = {}
    for item in fleet.accelerators:
        if item.slice is None:
            each = _price(pooled, item.card_type, item.cost_per_hour, item.cards) / item.cards
            prices[item.card_type] = min(each, prices.get(item.card_type, each))
    types = sorted(prices)
    offers = tuple(_offer(name, prices[name], terms, hours, pooled.get(name)) for name in types)
    spare = spare_of(fleet)
    options = tuple(
        Option(
            server=way.server,
            name=way.accelerator,
            offer=types.index(way.card_type) if way.card_type else 0,
            cards=way.cards,
            price=_price(pooled, way.card_type, way.price, way.cards),
            need=_with_spare(way, spare),
            most=way.most,
            configuration=way.configuration,
        )
        for way in needs.ways
    )
    return Question(
        servers=tuple(server.name for server in fleet.servers),
        offers=offers,
        options=options,
        limit=_limits(fleet, types, terms, hours),
        start_hours=terms.start_up_hours,
        min_up=terms.min_up_hours,
        switch_cost=terms.switch_cost,
        confidence=terms.confidence,
    )


def _price(
    pooled: Mapping[str, PooledCards], card_type: str, cost_per_hour: float, cards: int
) -> float:
    """Return what a replica costs on demand: in its pools, where its cards stand in some."""
    own = pooled.get(card_type)
    return cost_per_hour if own is None else own.price(cost_per_hour, cards)


def _with_spare(way: Way, spare: int) -> tuple[int, ...]:
    """Return the replicas needed with those in reserve, where there is load at all."""
    return tuple(
        need if need <= 0 else need + spare if need + spare <= way.most else IMPOSSIBLE
        for need in way.need
    )


def _offer(
    name: str, price: float, terms: HorizonTerms, hours: int, pooled: PooledCards | None
) -> Offer:
    told = terms.of_type(name)
    reserved, spot = told.reserved, told.spot
    offer = Offer(name, price)
    if pooled is not None:
        offer = replace(offer, most_on_demand=pooled.most_on_demand)
    if reserved is not None:
        most = UNLIMITED if reserved.most_cards is None else reserved.most_cards
        paid = horizon_cost_of_commitment(reserved, hours) * price
        offer = replace(offer, committed=paid, most_committed=most)
    if spot is not None:
        offer = replace(
            offer,
            spot_factor=spot.price_factor,
            spot_share=spot.most_share,
            presence=Offer.with_rate(
                spot.interruptions_per_hour, terms.start_up_hours, name=name, price=price
            ).presence,
            most_spot=UNLIMITED if spot.most_cards is None else spot.most_cards,
        )
    return offer


def _limits(fleet: Fleet, types: Sequence[str], terms: HorizonTerms, hours: int) -> IntArray:
    """Return the cards of each type in each hour; a type without a count has none."""
    limit = np.full((len(types), hours), UNLIMITED, dtype=np.int64)
    if terms.unlimited:
        return limit
    counts = {item.card_type: item.count for item in fleet.capacity}
    for row, name in enumerate(types):
        told = terms.of_type(name).cards
        if told is None:
            limit[row] = UNLIMITED if fleet.settings.unlimited else counts.get(name, 0)
        else:
            limit[row] = told[0] if len(told) == 1 else told
    return limit


def _priorities(fleet: Fleet) -> list[int]:
    classes = {item.name: item.priority for item in fleet.service_classes}
    return [classes.get(server.service_class, LOWEST_PRIORITY) for server in fleet.servers]


def _gap(cost: float, bound: float | None) -> float | None:
    if bound is None:
        return None
    return max(0.0, cost - bound) / cost if cost > 0 else 0.0


def _status(solution: Solution, gap: float | None, wanted: float) -> PlanStatus:
    if solution.timed_out:
        return PlanStatus.TIME_LIMIT
    if not solution.schedules:
        return PlanStatus.INFEASIBLE
    proven = gap is not None and gap <= wanted + 1e-9 and not solution.unproven
    return PlanStatus.OPTIMAL if proven else PlanStatus.FEASIBLE


def _unscheduled(fleet: Fleet, needs: Needs, solution: Solution) -> tuple[UnscheduledServer, ...]:
    served = {schedule.server for schedule in solution.schedules}
    found = []
    for at, server in enumerate(fleet.servers):
        if at in served:
            continue
        if at in needs.reasons:
            found.append(UnscheduledServer(server.name, "no_candidate", needs.reasons[at]))
        elif solution.timed_out or at in solution.unproven:
            detail = "no schedule was found within the time limit"
            found.append(UnscheduledServer(server.name, "time_limit", detail))
        else:
            detail = "the cards do not suffice for it beside the servers before it"
            found.append(UnscheduledServer(server.name, "capacity", detail))
    return tuple(found)


def _notes(solution: Solution, outlay: Outlay) -> list[str]:
    idle = [
        offer.name
        for offer, cards, held in zip(
            solution.question.offers, outlay.firm_cards, outlay.committed, strict=True
        )
        if held and int((cards < held).sum()) > len(cards) // 2
    ]
    if not idle:
        return []
    return [f"committed cards of {', '.join(idle)} are partly idle in more than half of the hours"]
