"""Horizons by trying everything, and the rules of a schedule checked one replica at a time."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence

from optimizer.horizon.outlay import Schedule
from optimizer.horizon.question import UNLIMITED, Option, Question

Usage = tuple[tuple[int, ...], ...]


def counted_spot(running: int, presence: float, confidence: float) -> int:
    """Return the most replicas of which at least as many are there with that probability."""
    best = 0
    for sure in range(1, running + 1):
        there = math.fsum(
            math.comb(running, up) * presence**up * (1 - presence) ** (running - up)
            for up in range(sure, running + 1)
        )
        if there >= confidence:
            best = sure
    return best


def may_stop(running: Sequence[int], min_up: int) -> bool:
    """Return whether the oldest can stop first, each after its minimum; the first ran before."""
    since: deque[int] = deque([-min_up] * running[0])
    for hour, count in enumerate(running[1:], start=1):
        while len(since) > count:
            if hour - since.popleft() < min_up:
                return False
        since.extend([hour] * (count - len(since)))
    return True


def held(running: Sequence[int], start_hours: int) -> list[int]:
    """Return the replicas that are paid in each hour."""
    paid = list(running)
    for hour in range(1, len(running)):
        begun = max(0, running[hour] - running[hour - 1])
        for before in range(max(0, hour - start_hours), hour):
            paid[before] += begun
    return paid


def broken_rules(question: Question, schedule: Schedule) -> list[str]:
    """Return what is wrong with a schedule."""
    wrong = []
    for place, index in enumerate(schedule.options):
        option = question.options[index]
        offer = question.offers[option.offer]
        firm, spot = schedule.firm[place].tolist(), schedule.spot[place].tolist()
        if not may_stop(firm, question.min_up) or not may_stop(spot, question.min_up):
            wrong.append("a replica stops too soon")
        for hour in range(question.hours):
            active = schedule.active[hour] == place
            sure = counted_spot(spot[hour], offer.presence, question.confidence)
            if active and (option.need[hour] < 0 or firm[hour] + sure < option.need[hour]):
                wrong.append(f"hour {hour}: {firm[hour]} and {spot[hour]} spot are too few")
            if spot[hour] > offer.spot_share * (firm[hour] + spot[hour]) + 1e-6:
                wrong.append(f"hour {hour}: too large a share is spot")
            if firm[hour] + spot[hour] > option.most:
                wrong.append(f"hour {hour}: too many replicas")
            if spot[hour] and offer.spot_factor is None:
                wrong.append(f"hour {hour}: there are no spot cards")
    if question.switch_cost is None and schedule.switches:
        wrong.append("the server moves")
    return wrong


def cheapest(question: Question) -> float:
    """Return the least cost of serving every server, infinite where the cards do not suffice."""
    servers = sorted({option.server for option in question.options})
    ways = [list(_ways(question, server).items()) for server in servers]
    best = math.inf
    for chosen in itertools.product(*ways):
        firm = [
            [sum(usage[0][t][h] for usage, _ in chosen) for h in range(question.hours)]
            for t in range(len(question.offers))
        ]
        spot = [
            [sum(usage[1][t][h] for usage, _ in chosen) for h in range(question.hours)]
            for t in range(len(question.offers))
        ]
        cost = sum(cost for _, cost in chosen)
        best = min(best, cost + _cards_cost(question, firm, spot))
    return best


def _cards_cost(question: Question, firm: list[list[int]], spot: list[list[int]]) -> float:
    total = 0.0
    for t, offer in enumerate(question.offers):
        for h in range(question.hours):
            limit = int(question.limit[t, h])
            if limit < UNLIMITED and firm[t][h] + spot[t][h] > limit:
                return math.inf
            if spot[t][h] > offer.most_spot:
                return math.inf
        most = 0 if offer.committed is None else min(max(firm[t]), offer.most_committed)
        total += min(
            (
                (offer.committed or 0.0) * count
                + math.fsum(offer.price * max(0, used - count) for used in firm[t])
                for count in range(most + 1)
                if all(used - count <= offer.most_on_demand for used in firm[t])
            ),
            default=math.inf,
        )
    return total


def _ways(question: Question, server: int) -> dict[tuple[Usage, Usage], float]:
    """Return what a server may take, firm and spot, with the least it costs beside firm cards."""
    options = [question.options[at] for at in question.of_server(server)]
    runs = [list(_runs(question, option)) for option in options]
    ways: dict[tuple[Usage, Usage], float] = {}
    if question.switch_cost is None:
        for option, own in zip(options, runs, strict=True):
            for firm, spot, cover in own:
                if all(0 <= need <= have for need, have in zip(option.need, cover, strict=True)):
                    _keep(question, ways, [(option, firm, spot)], 0.0)
        return ways
    for parts in itertools.product(*runs):
        moves = _fewest_moves(options, [cover for _, _, cover in parts], question.hours)
        if moves is not None:
            used = [
                (option, firm, spot) for option, (firm, spot, _) in zip(options, parts, strict=True)
            ]
            _keep(question, ways, used, question.switch_cost * moves)
    return ways


def _fewest_moves(
    options: Sequence[Option], covers: Sequence[Sequence[int]], hours: int
) -> int | None:
    able = [
        [0 <= option.need[h] <= cover[h] for option, cover in zip(options, covers, strict=True)]
        for h in range(hours)
    ]
    moves = {at: 0 for at in range(len(options)) if able[0][at]}
    for h in range(1, hours):
        moves = {
            at: min(count + (at != before) for before, count in moves.items())
            for at in range(len(options))
            if able[h][at] and moves
        }
    return min(moves.values()) if moves else None


def _runs(
    question: Question, option: Option
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], list[int]]]:
    offer, hours = question.offers[option.offer], question.hours
    peak = max(0, *option.need)
    most_spot = 0
    if offer.spot_factor is not None:
        # Beyond this many the peak is counted on with spot replicas alone.
        while counted_spot(most_spot, offer.presence, question.confidence) < peak:
            most_spot += 1
    firms = [
        run
        for run in itertools.product(range(peak + 1), repeat=hours)
        if may_stop(run, question.min_up)
    ]
    spots = [
        run
        for run in itertools.product(range(most_spot + 1), repeat=hours)
        if may_stop(run, question.min_up)
    ]
    counted = [
        counted_spot(count, offer.presence, question.confidence) for count in range(most_spot + 1)
    ]
    for firm in firms:
        for spot in spots:
            if any(m > offer.spot_share * (f + m) + 1e-6 for f, m in zip(firm, spot, strict=True)):
                continue
            if any(f + m > option.most for f, m in zip(firm, spot, strict=True)):
                continue
            yield firm, spot, [f + counted[m] for f, m in zip(firm, spot, strict=True)]


def _keep(
    question: Question,
    ways: dict[tuple[Usage, Usage], float],
    used: Sequence[tuple[Option, tuple[int, ...], tuple[int, ...]]],
    cost: float,
) -> None:
    types, hours = len(question.offers), question.hours
    firm_cards = [[0] * hours for _ in range(types)]
    spot_cards = [[0] * hours for _ in range(types)]
    for option, firm, spot in used:
        offer = question.offers[option.offer]
        for h, count in enumerate(held(firm, question.start_hours)):
            firm_cards[option.offer][h] += option.cards * count
            cost += max(0.0, option.price - option.cards * offer.price) * count
        for h, count in enumerate(held(spot, question.start_hours)):
            spot_cards[option.offer][h] += option.cards * count
            cost += (offer.spot_factor or 0.0) * option.price * count
    key = (tuple(map(tuple, firm_cards)), tuple(map(tuple, spot_cards)))
    ways[key] = min(cost, ways.get(key, math.inf))
