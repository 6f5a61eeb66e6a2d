"""Loose ends are told, each by what it rules out; a fleet without any has none."""

import dataclasses

import pytest

from data.fleets import builtin_names, parse_fleet, read_fleet
from data.loose_ends import loose_ends
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.settings import OptimizerSettings
from stoker.domain.slo import ServiceClass, SloTarget
from tests.support.small_fleets import GOLD, PROFILES, make_fleet, make_server


@pytest.mark.parametrize("name", builtin_names())
def test_the_built_in_fleets_have_none(name: str) -> None:
    assert loose_ends(read_fleet(name)) == ()


def test_a_sound_fleet_has_none() -> None:
    assert loose_ends(make_fleet()) == ()


ZERO = dataclasses.replace(PROFILES[0], parameters=TokenWorkParameters(0, 0, 0))
UNPROFILED = [make_server(f"x{k}", model="x", service_class="x") for k in range(5)]
ASTRAY = dataclasses.replace(PROFILES[0], accelerator="Gone")


@pytest.mark.parametrize(
    ("fleet", "note"),
    [
        (
            make_fleet(profiles=(ZERO, *PROFILES[1:])),
            'the profile of "m" on "Big" is of no use: all its parameters are zero',
        ),
        (
            make_fleet(profiles=(dataclasses.replace(ZERO, configuration="tp2"), *PROFILES)),
            'the profile of "m" on "Big" ("tp2") is of no use: all its parameters are zero',
        ),
        (
            make_fleet(profiles=(ASTRAY, *PROFILES)),
            'the profile of "m" on "Gone" is of no use: the fleet has no such accelerator',
        ),
        (
            make_fleet(*UNPROFILED, classes=(GOLD, ServiceClass("x", 2, (SloTarget("x"),)))),
            'model "x" has no profile on any accelerator of the fleet: "x0", "x1", "x2" and 2 more '
            "cannot be placed",
        ),
        (
            make_fleet(make_server(service_class="lost")),
            'service class "lost" has no target for model "m": "s" cannot be placed',
        ),
        (
            make_fleet(cards={"B": 2}),
            'card type "C" has no count in the capacity: nothing can run on "Cheap", "Old"',
        ),
        (
            make_fleet(cards={"B": 0, "C": 1}),
            'card type "B" has a count of 0 in the capacity: nothing can run on "Big"',
        ),
        (
            make_fleet(cards={"B": 1, "C": 1, "D": 1}),
            'no accelerator has the card type "D" of the capacity',
        ),
    ],
)
def test_each_loose_end_is_told(fleet: Fleet, note: str) -> None:
    assert loose_ends(fleet) == (note,)


def test_capacity_that_is_ignored_lacks_nothing() -> None:
    fleet = dataclasses.replace(
        make_fleet(cards={}), settings=OptimizerSettings(unlimited=True), capacity=()
    )
    assert loose_ends(fleet) == ()
    counted = dataclasses.replace(fleet, capacity=(Capacity("B", 0),))
    assert loose_ends(counted) == ()


def test_zero_parameters_of_inferno_stay_legal() -> None:
    document = {
        "system": {
            "acceleratorData": {"accelerators": [{"name": "A", "type": "A", "cost": 1}]},
            "capacityData": {"count": [{"type": "A", "count": 1}]},
            "modelData": {
                "models": [
                    {
                        "name": "m",
                        "acc": "A",
                        "maxBatchSize": 1,
                        "atTokens": 1,
                        "perfParms": {"alpha": 0, "beta": 0, "gamma": 0},
                    }
                ]
            },
            "serviceClassData": {"serviceClasses": []},
            "serverData": {"servers": []},
            "optimizerData": {"optimizer": {}},
        }
    }
    (note,) = loose_ends(parse_fleet(document))
    assert note == 'the profile of "m" on "A" is of no use: all its parameters are zero'
