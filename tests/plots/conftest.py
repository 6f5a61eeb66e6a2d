from dataclasses import replace

import pytest

from data.fleets import read_fleet
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis, SaturationPolicy

REFERENCE = Analysis.REFERENCE
"""The analysis of most of these pictures."""


@pytest.fixture(scope="session")
def small() -> tuple[Fleet, Plan]:
    """Return the small fleet, planned with all its cards."""
    fleet = read_fleet("small")
    return fleet, plan_fleet(fleet, replace(fleet.settings, analysis=REFERENCE))


@pytest.fixture(scope="session")
def scarce() -> tuple[Fleet, Plan]:
    """Return the large fleet with too few cards: some best effort, mixes allowed."""
    fleet = scale_capacity(read_fleet("large"), 0.35)
    return fleet, plan_fleet(
        fleet, replace(fleet.settings, analysis=REFERENCE, heterogeneous=False)
    )


@pytest.fixture(scope="session")
def mixed() -> tuple[Fleet, Plan]:
    """Return the small fleet with mixes of accelerators."""
    fleet = scale_capacity(read_fleet("small"), 0.5)
    return fleet, plan_fleet(fleet, replace(fleet.settings, analysis=REFERENCE, heterogeneous=True))


@pytest.fixture(scope="session")
def cardless() -> tuple[Fleet, Plan]:
    """Return the small fleet without a single card."""
    fleet = scale_capacity(read_fleet("small"), 0)
    settings = replace(fleet.settings, analysis=REFERENCE, saturation_policy=SaturationPolicy.NONE)
    return fleet, plan_fleet(fleet, settings)


@pytest.fixture(scope="session")
def serverless() -> tuple[Fleet, Plan]:
    """Return a fleet without servers."""
    fleet = replace(read_fleet("small"), servers=())
    return fleet, plan_fleet(fleet, replace(fleet.settings, analysis=REFERENCE, unlimited=True))


@pytest.fixture(scope="session")
def single() -> tuple[Fleet, Plan]:
    """Return a fleet of one server."""
    fleet = read_fleet("small")
    fleet = replace(fleet, servers=fleet.servers[:1])
    return fleet, plan_fleet(fleet, replace(fleet.settings, analysis=REFERENCE))


@pytest.fixture(scope="session")
def engine_planned() -> tuple[Fleet, Plan]:
    """Return the large fleet with too few cards, by the analysis of the engine."""
    fleet = scale_capacity(read_fleet("large"), 0.35)
    return fleet, plan_fleet(fleet, replace(fleet.settings, analysis=Analysis.FULL))
