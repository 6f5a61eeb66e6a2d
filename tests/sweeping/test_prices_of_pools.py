"""Prices that pools with a price of their own would not follow are refused."""

from dataclasses import replace

import pytest

from stoker.domain.accelerator import Accelerator
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.pools import Pool
from studies.sweeping.grid import grid_study
from tests.support.small_fleets import make_fleet, make_server

OWN = Pool("east", "C", 12, price_per_card_hour=0.9), Pool("west", "C", 8, price_per_card_hour=0.7)
FLEET = replace(make_fleet(make_server("a")), pools=OWN)


def own_prices(fleet: Fleet, text: str) -> list[float | None]:
    study = grid_study(fleet, [text])
    return [pool.price_per_card_hour for pool in study.at(study.points[0]).pools]


@pytest.mark.parametrize("text", ["price=3", "price.C=3", "price.C=x2,3", "price.type:C=0"])
def test_a_number_that_moves_no_pool_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        grid_study(FLEET, [text])
    (problem,) = caught.value.problems
    assert "each pool of C has a price of its own" in problem.message
    assert "price.pool:east, price.pool:west" in problem.message
    assert problem.allowed == "a multiple such as x0.5"


@pytest.mark.parametrize("text", ["price.Old=3", "price.Cheap=x2", "price.accelerator:Old=x1"])
def test_one_accelerator_of_such_a_type_is_refused_whatever_the_value(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        grid_study(FLEET, [text])
    (problem,) = caught.value.problems
    assert "each pool of C has a price of its own" in problem.message
    assert problem.allowed == "price.pool:east, price.pool:west, or multiples of price.type:C"


def test_what_moves_them_is_taken() -> None:
    assert own_prices(FLEET, "price=x2") == [1.8, 1.4]
    assert own_prices(FLEET, "price.type:C=x2") == [1.8, 1.4]
    assert own_prices(FLEET, "price.pool:west=3") == [0.9, 3.0]
    study = grid_study(FLEET, ["price.B=3", "price.Big=x2"])
    assert study.at(study.points[0]).accelerators[0].cost_per_hour == 12.0


def test_a_pool_without_a_price_of_its_own_follows() -> None:
    fleet = replace(FLEET, pools=(OWN[0], replace(OWN[1], price_per_card_hour=None)))
    assert own_prices(fleet, "price.C=3") == [0.9, None]
    study = grid_study(fleet, ["price.C=3"])
    assert study.at(study.points[0]).accelerators[1].cost_per_hour == 3.0


def test_a_name_of_several_things_is_a_type_then_a_pool_then_an_accelerator() -> None:
    named = replace(
        FLEET,
        accelerators=(*FLEET.accelerators, Accelerator("C", "C", 4, 9.0)),
        pools=(Pool("C", "C", 12), Pool("Old", "C", 8)),
    )

    def changes(text: str) -> tuple[list[float | None], list[float]]:
        study = grid_study(named, [text])
        there = study.at(study.points[0])
        prices = [item.cost_per_hour for item in there.accelerators[1:]]
        return [pool.price_per_card_hour for pool in there.pools], prices

    assert changes("price.C=2") == changes("price.type:C=2") == ([None, None], [2.0, 2.0, 8.0])
    assert changes("price.pool:C=2") == ([2.0, None], [1.0, 0.5, 9.0])
    assert changes("price.accelerator:C=2") == ([None, None], [1.0, 0.5, 2.0])
    assert changes("price.Old=2") == ([None, 2.0], [1.0, 0.5, 9.0])
    assert changes("price.accelerator:Old=2") == ([None, None], [1.0, 2.0, 9.0])
