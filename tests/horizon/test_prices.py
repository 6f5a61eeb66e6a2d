"""Cheapest schedules at prices, and bounds of them, against looking at every pair of levels."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.horizon.ascent import Ascent
from optimizer.horizon.levels import Levels, build_levels
from optimizer.horizon.multipliers import Evaluation, Multipliers, PriceSpace
from optimizer.horizon.outlay import use_of
from optimizer.horizon.pricing import Pricer, Prices, schedule_of
from optimizer.horizon.question import Offer, Option, Question
from optimizer.table import FloatArray

HOURS = 9


def question(seed: int, *, moving: bool = False, cards: int = 60) -> Question:
    """Return three servers with two or three options each, of two types."""
    rng = np.random.default_rng(seed)
    offers = tuple(
        Offer.with_rate(
            0.05,
            1,
            name=name,
            price=price,
            committed=0.6 * price * HOURS,
            spot_factor=0.4,
            spot_share=float(rng.choice([0.3, 0.5, 1.0])),
        )
        for name, price in (("a", 1.0), ("b", 2.5))
    )
    options = []
    for server in range(3):
        mean = rng.integers(2, 14)
        for at in range(int(rng.integers(2, 4))):
            offer = int(rng.integers(0, 2))
            need = np.maximum(0, rng.poisson(mean * (1 + at), HOURS))
            price = offers[offer].price
            options.append(Option(server, f"o{at}", offer, 1, price, tuple(need.tolist())))
    limit = np.full((2, HOURS), cards, dtype=np.int64)
    return Question(
        ("x", "y", "z"), offers, tuple(options), limit, 1, 1, 0.8 if moving else None, 0.95
    )


def prices(seed: int) -> Prices:
    rng = np.random.default_rng(seed)
    dear = np.array([[1.0], [2.5]])
    return Prices(
        dear * rng.uniform(0.1, 2.0, (2, HOURS)), dear * rng.uniform(0.0, 0.8, (2, HOURS))
    )


def by_pairs(part: Levels, firm: FloatArray, spot: FloatArray) -> list[float]:
    """Return the least cost of each option, looking at every pair of levels."""
    found = []
    for row in range(len(part.options)):
        value = dict.fromkeys(range(int(part.top[0, row]) + 1), 0.0)
        for hour in range(HOURS - 1):
            following = {}
            for later in range(int(part.top[hour + 1, row]) + 1):
                following[later] = min(
                    before
                    + firm[row, hour]
                    * max(part.need[hour, row] - level, part.need[hour + 1, row] - later)
                    + spot[row, hour] * max(part.spot[row, level], part.spot[row, later])
                    for level, before in value.items()
                )
            value = following
        last = HOURS - 1
        found.append(
            min(
                before
                + firm[row, last] * (part.need[last, row] - level)
                + spot[row, last] * part.spot[row, level]
                for level, before in value.items()
            )
        )
    return found


@pytest.mark.parametrize("seed", range(25))
def test_running_minima_are_those_of_all_pairs(seed: int) -> None:
    asked, rng = question(seed), np.random.default_rng(seed)
    for part in build_levels(asked):
        shape = (len(part.options), HOURS)
        firm, spot = rng.uniform(0.1, 2.0, shape), rng.uniform(0.05, 1.5, shape)

        def cost(hour: int, held: FloatArray, firm: FloatArray = firm) -> FloatArray:
            paid: FloatArray = firm[:, hour, None] * held
            return paid

        values, each = part.cheapest(cost, spot, True)
        assert values == pytest.approx(by_pairs(part, firm, spot), rel=1e-12)
        levels = part.levels(each, cost, spot, True)
        for row in range(len(part.options)):
            runs, spots = part.path(row, levels[:, row])
            held = np.maximum(runs, np.append(runs[1:], 0))
            beside = np.maximum(spots, np.append(spots[1:], 0))
            paid = float((firm[row] * held + spot[row] * beside).sum())
            assert paid == pytest.approx(values[row], rel=1e-12)


@pytest.mark.parametrize("seed", range(15))
def test_outlines_are_no_dearer_than_the_cheapest_schedules(seed: int) -> None:
    asked, at = question(seed), prices(seed)
    pricer = Pricer(asked)
    every = pricer.paths(at, range(len(asked.options)))
    cost = []
    for path in every:
        schedule = schedule_of(asked, int(pricer.server[path.option[0]]), path)
        assert schedule is not None
        use = use_of(asked, schedule)
        cards = float((use.firm_cards * at.firm).sum() + (use.spot_cards * at.spot).sum())
        cost.append(cards + use.fixed_cost)
    least = pricer.least(at)
    assert (least <= np.array(cost) * (1 + 1e-9)).all()
    best = sum(min(cost[n] for n in asked.of_server(server)) for server in range(3))
    assert pricer.outlined(at)[0] <= best * (1 + 1e-9)
    values, _ = pricer.price(at)
    assert sum(min(values[asked.of_server(server)]) for server in range(3)) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(15))
def test_no_option_is_ruled_out_that_a_moving_server_would_use(seed: int) -> None:
    asked, at = question(seed, moving=True), prices(seed)
    pricer = Pricer(asked)
    values, paths = pricer.switching(at)
    through = pricer.least(at)
    for server, path in enumerate(paths):
        used = sorted(set(path.option.tolist()))
        assert (through[used] <= values[server] * (1 + 1e-9)).all()
    # Looking at every option from the start finds the same.
    everything, _ = pricer.switching(at, np.full(3, 1e12))
    assert values == pytest.approx(everything, rel=1e-12)


def test_prices_of_hours_stay_what_a_commitment_costs() -> None:
    asked = question(1)
    space = PriceSpace(asked)
    rng = np.random.default_rng(3)
    for _ in range(20):
        start = space.start()
        slope = Multipliers(*(rng.normal(0.0, 30.0, space.shape) for _ in range(3)))
        moved = space.moved(start, slope, float(rng.uniform(0.0, 0.1)))
        assert (moved.firm >= 0).all()
        assert (moved.firm <= space.price + 1e-12).all()
        assert (moved.firm.sum(axis=1) <= space.term * (1 + 1e-9)).all()
        assert (moved.limit >= 0).all()
        assert not moved.spot.any()  # nothing limits spot cards here


def test_the_bound_rises_where_cards_are_scarce() -> None:
    asked = question(2, cards=14)
    space, pricer = PriceSpace(asked), Pricer(asked)

    def evaluate(at: Multipliers) -> Evaluation:
        least, firm, spot = pricer.outlined(at.prices)
        return Evaluation(space.bound(at, least), firm, spot)

    ascent = Ascent(space, evaluate, space.start(), share=0.05, patience=5)
    first = last = ascent.bound
    for _ in range(150):
        ascent.step()
        assert ascent.bound >= last
        last = ascent.bound
    assert last > 1.02 * first
    assert evaluate(ascent.best).bound == pytest.approx(last)
